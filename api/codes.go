package api

import "midplane/event"

// The codes of problems. Each has a row in Codes.
const (
	CodeClusterSilent     Code = "cluster-silent"
	CodeNoQuorum          Code = "no-quorum"
	CodeNoLeader          Code = "no-leader"
	CodeNoMetaLeader      Code = "no-meta-leader"
	CodeNodeDown          Code = "node-down"
	CodeNodeBehind        Code = "node-behind"
	CodeNodeDrained       Code = "node-drained"
	CodeNodeProblem       Code = "node-problem"
	CodeProbeFailed       Code = "probe-failed"
	CodeVersionsDiffer    Code = "versions-differ"
	CodeVersionTooOld     Code = "version-too-old"
	CodeUpgradeOpen       Code = "upgrade-open"
	CodeCertificateEnds   Code = "certificate-ends"
	CodeAuditNoLeader     Code = "audit-no-leader"
	CodeAuditUnwritten    Code = "audit-unwritten"
	CodeAuditFilling      Code = "audit-filling"
	CodeAuditDropped      Code = "audit-dropped"
	CodeIsolationBroken   Code = "isolation-broken"
	CodeIsolationUnproven Code = "isolation-unproven"

	CodePrimaryMissing    Code = "primary-missing"
	CodePrimarySilent     Code = "primary-silent"
	CodePrimaryProblem    Code = "primary-problem"
	CodePrimaryNotReading Code = "primary-not-reading"
	CodePrimaryBehind     Code = "primary-behind"
	CodePrimaryWaits      Code = "primary-waits"
	CodePrimaryAlarm      Code = "primary-alarm"
	CodePrimaryRebuilt    Code = "primary-rebuilt"

	CodeTenantUnreadable Code = "tenant-unreadable"
	CodeTenantLeaving    Code = "tenant-leaving"
	CodeTenantNotReady   Code = "tenant-not-ready"
	CodeAccountDrift     Code = "account-drift"
	CodeSecretNotSet     Code = "secret-not-set"
	CodePollerOffline    Code = "poller-offline"
	CodePollerProblem    Code = "poller-problem"
	CodeMetricsThinned   Code = "metrics-thinned"
	CodeOutboxFull       Code = "outbox-full"
	CodeProducerHeldBack Code = "producer-held-back"
	CodeProducerShutOut  Code = "producer-shut-out"
	CodeStreamFilling    Code = "stream-filling"
	CodeStoreFilling     Code = "store-filling"
	CodeOutOfStorage     Code = "out-of-storage"
	CodeStoreFull        Code = "store-full"
	CodeStreamNoLeader   Code = "stream-no-leader"
	CodeStreamStalled    Code = "stream-stalled"
	CodeReplicaDiverged  Code = "replica-diverged"
	CodeReplicaRepairing Code = "replica-repairing"
	CodeUnspecified      Code = "unspecified"
	CodeDevicesDown      Code = "devices-down"
	CodeChecksCritical   Code = "checks-critical"
	CodeChecksWarning    Code = "checks-warning"
)

// Codes is the table of all problems: docs/reference/problems.md shows it.
var Codes = []CodeRow{
	{CodeClusterSilent, ScopeSystem, event.Critical, "no control plane answers", "start the nodes: two of the three are needed, and 10 seconds to elect a leader"},
	{CodeNoQuorum, ScopeSystem, event.Critical, "the node that answers cannot store anything; which other nodes live is not known",
		"see which nodes run and reach each other: two of the three must; clients of this node are moved to others, pollers keep what they see, and nothing is lost"},
	{CodeNoLeader, ScopeSystem, event.Critical, "no node leads the control plane", "a leader is elected within seconds; if not, see that a majority of the nodes runs"},
	{CodeNoMetaLeader, ScopeSystem, event.Critical, "JetStream has no meta leader", "are two of the three nodes running and connected?"},
	{CodeNodeDown, ScopeSystem, event.Critical, "a node is not live", "start it again: the others carry on, but the next failure would stop the cluster"},
	{CodeNodeBehind, ScopeSystem, event.Warning, "replicas of a node are not whole: while they catch up, there are fewer copies",
		"wait, and stop no other node before that: it catches up by itself; if it does not, see its log and the runbook node-replace"},
	{CodeNodeDrained, ScopeSystem, event.Notice, "a node is drained: it has no clients and leads nothing", "stop it, or take it back with: midplane node undrain NAME"},
	{CodeNodeProblem, ScopeSystem, event.Error, "a node says that something is wrong with it", "see its log"},
	{CodeProbeFailed, ScopeSystem, event.Error, "a node has not got a message through its own door and back for three times, with 5 seconds between: producers that are connected to it are most likely refused, too",
		"see the problem's text and the node's log; when other nodes are well, restart this one: its clients go to the others"},
	{CodeOutOfStorage, ScopeSystem, event.Critical, "a node could not write to its disk and has ended: its replicas are missing until it is back",
		"make room on that disk, then start the node again: it catches up with the others; see the runbook disk-full"},
	{CodeStoreFull, ScopeSystem, event.Critical, "a node's store is full but for what the control plane needs: nothing of tenants is taken, pollers keep what they see",
		"let the readers that hold streams back catch up (midplane get streams), lower quotas, or give the node more disk and --max-store"},
	{CodeStoreFilling, ScopeSystem, event.Warning, "a node's store is nearly full", "before it is full: let readers catch up, lower quotas, or give the node more disk and --max-store"},
	{CodeVersionsDiffer, ScopeSystem, event.Notice, "nodes and primaries of different versions run side by side", "replace the older ones: midplane upgrade status names the next"},
	{CodeVersionTooOld, ScopeSystem, event.Error, "a node or primary is older than the last upgrade that was ended: it cannot read all that is stored", "stop it, and start the newer version there; see the runbook upgrade"},
	{CodeUpgradeOpen, ScopeSystem, event.Notice, "all nodes and primaries are new, and the upgrade was not ended: what is new in this version is not used yet, and a node may still go back",
		"when all is well: midplane upgrade finish --yes"},
	{CodeCertificateEnds, ScopeSystem, event.Warning, "a node's certificate ends soon, has ended, or cannot be read",
		"make new ones with: midplane rotate certs --dir DEPLOYMENT, and copy to each node its own; the node reads them without a restart"},
	{CodeAuditNoLeader, ScopeSystem, event.Critical, "the audit log has no leader: nothing that changes anything is accepted", "are two of the three nodes up? A leader is elected within 10 seconds"},
	{CodeAuditUnwritten, ScopeSystem, event.Error, "a node could not store records of acts in the audit log", "the records are in that node's log: keep that log"},
	{CodeAuditFilling, ScopeSystem, event.Warning, "the audit log is nearly full", "save its records elsewhere: midplane get audit --limit 0 -o json"},
	{CodeAuditDropped, ScopeSystem, event.Notice, "the audit log is full, and its oldest records were dropped", "save its records regularly: midplane get audit --limit 0 -o json"},
	{CodeIsolationBroken, ScopeSystem, event.Critical, "a message of one tenant was seen in another", "what do their accounts import and export? See midplane get audit, and the runbook isolation"},
	{CodeIsolationUnproven, ScopeSystem, event.Warning, "no round of the isolation canary has succeeded for several minutes", "is there a leader, and are the named tenants served? See the leader's log"},

	{CodePrimaryMissing, ScopeSystem, event.Critical, "no primary answers: nothing is read, queries fail", "start one: midplane primary (midplane up has one)"},
	{CodePrimarySilent, ScopeSystem, event.Error, "a known primary is silent; nothing it has not read can be trimmed", "start it, or forget it with: midplane primary forget NAME --yes"},
	{CodePrimaryProblem, ScopeSystem, event.Error, "a primary cannot read a tenant", "see the log of the primary"},
	{CodePrimaryNotReading, ScopeSystem, event.Warning, "a primary does not read a tenant", "it begins within seconds; if not, see the log of the primary"},
	{CodePrimaryBehind, ScopeSystem, event.Warning, "a primary has many messages of a stream to read", "it catches up by itself; if the number rises, the primary's disk or CPU is too slow"},
	{CodePrimaryWaits, ScopeSystem, event.Critical, "the leader of a stream has lost messages that another replica may have: a primary waits at the hole and reads nothing behind it",
		"start the named nodes; midplane get replicas shows which replica is damaged, and it is taken over again from the others. Reading goes on by itself"},
	{CodePrimaryRebuilt, ScopeSystem, event.Error, "a primary's database was damaged and moved away, and everything that the streams keep was read again: what had been trimmed is not in it",
		"test the disk; then remove the named file from the primary's folder"},
	{CodePrimaryAlarm, ScopeSystem, event.Error, "a primary found that something was lost or is not in order", "see the runbooks, by the alarm's name"},

	{CodeTenantUnreadable, ScopeSystem, event.Critical, "a node cannot read a tenant's spec or account", "is this node older than the one that stored it? Nothing of the tenant is changed until the node can read it"},
	{CodeTenantLeaving, ScopeSystem, event.Notice, "a tenant is being deleted", "wait"},
	{CodeTenantNotReady, ScopeSystem, event.Warning, "a tenant is not Ready because a condition is not met; the subject is the condition", "see midplane describe tenant"},
	{CodeAccountDrift, ScopeSystem, event.Critical, "an account differed from its plan, and was corrected",
		"an attacker may have the operator's signing key, or the registry was changed: see midplane get audit, and rotate the key"},
	{CodeSecretNotSet, ScopeSystem, event.Warning, "a tenant's file refers to a secret that is not set", "midplane secret set TENANT/NAME"},
	{CodePollerOffline, ScopeSystem, event.Error, "a poller does not report", "is its machine up, and can it reach the nodes? It keeps what it sees and sends it later"},
	{CodePollerProblem, ScopeSystem, event.Warning, "a poller says that something is wrong with it", "see its log"},
	{CodeMetricsThinned, ScopeSystem, event.Warning, "METRICS takes nothing, and a poller gives up one in two of the samples that wait, again and again; states and events are not touched",
		"raise quota.storage, use longer intervals, or let the readers of METRICS catch up; midplane diff says for how long METRICS holds what the checks send"},
	{CodeOutboxFull, ScopeSystem, event.Error, "a poller's outbox is at its limit: the oldest metrics, states that newer ones replace and in the end events are given up, each named in the loss ledger",
		"bring the poller back into connection with the nodes, or let the stream that takes nothing be read; give the poller a larger outbox (--outbox-bytes). An event says what was given up when it is over"},
	{CodeProducerHeldBack, ScopeSystem, event.Warning, "messages of a producer wait because of a limit", "raise the named quota in the tenant's file, or let the producer send less"},
	{CodeProducerShutOut, ScopeSystem, event.Error, "a producer did not wait when asked to, and its connections are closed for a while", `let the producer honour "retry in" of refusals with code 429`},
	{CodeStreamFilling, ScopeSystem, event.Error, "a stream is nearly full of unread messages", "let the reader catch up, or raise quota.storage in the tenant's file"},
	{CodeStreamNoLeader, ScopeSystem, event.Critical, "a stream of a tenant has no leader", "pollers keep what they see; a leader is elected within 10 seconds when two nodes are up"},
	{CodeStreamStalled, ScopeSystem, event.Critical, "a stream of a tenant stores nothing for 45 seconds and longer, although all nodes live: it has no leader, or one that gets no further",
		"producers keep what is not acknowledged; it does not end by itself: see the node's log, and the runbook halted-stream"},
	{CodeReplicaDiverged, ScopeSystem, event.Critical, "a node's replica of a stream is not whole: its files are damaged, or it holds less than the others; the subject is STREAM/NODE",
		"it is repaired by itself when the other two are whole; see midplane get replicas and the runbook replica-diverged"},
	{CodeReplicaRepairing, ScopeSystem, event.Warning, "a node takes its replica of a stream over from the others; the subject is STREAM/NODE", "wait, and let the other nodes run: until it is done there are two whole copies"},
	{CodeUnspecified, ScopeSystem, event.Warning, "an older node reports a problem without a code; the severity is the node's own", "see the problem's text"},

	{CodeDevicesDown, ScopeNetwork, event.Error, "devices of a site are down; the subject is the site", "midplane get devices shows why, device by device"},
	{CodeChecksCritical, ScopeNetwork, event.Error, "checks of a site are critical; the subject is the site", "midplane get checks shows what each found"},
	{CodeChecksWarning, ScopeNetwork, event.Warning, "checks of a site are in the state warning; the subject is the site", "midplane get checks shows what each found"},
}
