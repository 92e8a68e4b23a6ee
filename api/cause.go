package api

import "strings"

// ProblemRef names a problem of the same list.
type ProblemRef struct {
	Code    Code   `json:"code"`
	Tenant  string `json:"tenant,omitempty"`
	Subject string `json:"subject,omitempty"`
}

// Ref names the problem.
func (p Problem) Ref() ProblemRef {
	return ProblemRef{Code: p.Code, Tenant: p.Tenant, Subject: p.Subject}
}

// rule says that a problem of one code follows from one of another.
type rule struct {
	code, from Code
	same       func(p, cause Problem) bool
}

// rules are tried in this order: the first that finds a cause decides. No code
// follows from itself over any number of them.
var rules = []rule{
	{CodeNoMetaLeader, CodeNoQuorum, anywhere},
	{CodeNoMetaLeader, CodeNodeDown, anywhere},
	{CodeNoLeader, CodeNoQuorum, anywhere},
	{CodeNoLeader, CodeNoMetaLeader, anywhere},
	{CodeNoLeader, CodeNodeDown, anywhere},
	{CodeAuditNoLeader, CodeNoQuorum, anywhere},
	{CodeAuditNoLeader, CodeNodeDown, anywhere},
	{CodePrimaryMissing, CodeClusterSilent, anywhere},
	{CodePrimaryMissing, CodeNoQuorum, anywhere},

	{CodeNodeDown, CodeOutOfStorage, sameSubject},
	{CodeNodeProblem, CodeOutOfStorage, sameSubject},
	{CodeNodeProblem, CodeNoQuorum, sameSubject},
	{CodeNodeProblem, CodeNoMetaLeader, anywhere},
	{CodeNodeBehind, CodeNoQuorum, sameSubject},
	{CodeNodeBehind, CodeStoreFull, sameSubject},
	{CodeNodeBehind, CodeReplicaDiverged, ofReplica},
	{CodeNodeBehind, CodeReplicaRepairing, ofReplica},
	{CodeProbeFailed, CodeNoQuorum, sameSubject},
	{CodeProbeFailed, CodeNoMetaLeader, anywhere},
	{CodeProbeFailed, CodeStoreFull, anywhere},
	{CodeProbeFailed, CodeNodeDown, anywhere},
	{CodeProbeFailed, CodeNodeProblem, sameSubject},

	{CodeStreamNoLeader, CodeNoQuorum, anywhere},
	{CodeStreamNoLeader, CodeNodeDown, anywhere},
	{CodeStreamNoLeader, CodeReplicaDiverged, replicaOf},

	{CodePrimaryWaits, CodeReplicaDiverged, replicaOf},
	{CodePrimaryWaits, CodeNodeDown, anywhere},
	{CodePrimaryProblem, CodeStreamNoLeader, sameTenant},
	{CodePrimaryProblem, CodeStreamStalled, sameTenant},
	{CodePrimaryNotReading, CodePrimaryProblem, sameTenant},
	{CodePrimaryNotReading, CodeStreamNoLeader, sameTenant},
	{CodePrimaryNotReading, CodeStreamStalled, sameTenant},
	{CodePrimaryBehind, CodePrimaryWaits, sameOfTenant},
	{CodeStreamFilling, CodePrimaryWaits, sameOfTenant},
	{CodeStreamFilling, CodePrimaryProblem, sameTenant},
	{CodeStreamFilling, CodePrimaryMissing, anywhere},
	{CodeStreamFilling, CodePrimarySilent, anywhere},
	{CodeMetricsThinned, CodeStreamFilling, sameTenant},
	{CodeOutboxFull, CodePollerOffline, sameOfTenant},
	{CodeOutboxFull, CodeStoreFull, anywhere},
	{CodeOutboxFull, CodeStreamNoLeader, sameTenant},
	{CodeOutboxFull, CodeStreamStalled, sameTenant},
	{CodeOutboxFull, CodeStreamFilling, sameTenant},

	{CodeTenantNotReady, CodeTenantUnreadable, sameTenant},
	{CodeTenantNotReady, CodeStreamNoLeader, ofCondition(StreamsReady)},
	{CodeTenantNotReady, CodeStreamStalled, ofCondition(StreamsReady)},
	{CodeTenantNotReady, CodeNoMetaLeader, ofCondition(StreamsReady)},
	{CodeTenantNotReady, CodeNodeDown, ofCondition(StreamsReady)},
	{CodeTenantNotReady, CodePrimaryMissing, ofCondition(PrimaryReading)},
	{CodeTenantNotReady, CodePrimarySilent, ofCondition(PrimaryReading)},
	{CodeTenantNotReady, CodePrimaryProblem, ofCondition(PrimaryReading)},
	{CodeIsolationUnproven, CodeNoLeader, anywhere},
	{CodeIsolationUnproven, CodeNoMetaLeader, anywhere},
}

func anywhere(_, _ Problem) bool        { return true }
func sameSubject(p, cause Problem) bool { return p.Subject == cause.Subject }
func sameTenant(p, cause Problem) bool  { return p.Tenant == cause.Tenant }

// sameOfTenant is for what a tenant has one of by a name: a stream, a poller.
func sameOfTenant(p, cause Problem) bool { return sameTenant(p, cause) && sameSubject(p, cause) }

// replicaOf is for a stream and its replicas, and ofReplica for a node and those
// that it has: their subject is STREAM/NODE.
func replicaOf(stream, replica Problem) bool {
	return sameTenant(stream, replica) && strings.HasPrefix(replica.Subject, stream.Subject+"/")
}

func ofReplica(node, replica Problem) bool {
	return strings.HasSuffix(replica.Subject, "/"+node.Subject)
}

// ofCondition is for one condition of tenants.
func ofCondition(condition string) func(p, cause Problem) bool {
	return func(p, cause Problem) bool {
		return p.Subject == condition && (cause.Tenant == "" || sameTenant(p, cause))
	}
}

// FindCauses gives every problem of a list the one that it follows from, if that is
// in the list, and sorts the list. It is pure.
func FindCauses(list []Problem) {
	for i := range list {
		list[i].Cause = nil
	}
	SortProblems(list) // of several causes, the first counts
	byCode := map[Code][]Problem{}
	for _, p := range list {
		byCode[p.Code] = append(byCode[p.Code], p)
	}
	for i, p := range list {
		list[i].Cause = causeOf(p, byCode)
	}
	SortProblems(list)
}

func causeOf(p Problem, byCode map[Code][]Problem) *ProblemRef {
	for _, r := range rules {
		if r.code != p.Code {
			continue
		}
		for _, cause := range byCode[r.from] {
			if r.same(p, cause) {
				ref := cause.Ref()
				return &ref
			}
		}
	}
	return nil
}

// MayFollow returns the codes of the problems that one of a code may follow from.
func (c Code) MayFollow() (out []Code) {
	for _, r := range rules {
		if r.code == c {
			out = append(out, r.from)
		}
	}
	return out
}

// Root is a problem that follows from no other, with all that follows from it.
type Root struct {
	Problem
	Follows []Problem
}

// Roots folds what follows from other problems under these, in the order of the list.
func Roots(list []Problem) []Root {
	cause := map[ProblemRef]*ProblemRef{}
	for _, p := range list {
		cause[p.Ref()] = p.Cause
	}
	out := []Root{}
	at := map[ProblemRef]int{}
	var rest []Problem
	for _, p := range list {
		if p.Cause == nil {
			at[p.Ref()] = len(out)
			out = append(out, Root{Problem: p})
		} else {
			rest = append(rest, p)
		}
	}
	for _, p := range rest {
		ref := p.Ref()
		for steps := 0; cause[ref] != nil && steps < len(list); steps++ {
			ref = *cause[ref]
		}
		if i, ok := at[ref]; ok {
			out[i].Follows = append(out[i].Follows, p)
		} else { // of a newer program, whose list is not whole
			out = append(out, Root{Problem: p})
		}
	}
	return out
}
