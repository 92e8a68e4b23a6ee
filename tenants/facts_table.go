package tenants

import (
	"fmt"

	"midplane/streams"
)

// fact is what the reference and "midplane explain" say of a field.
type fact struct{ def, allowed, meaning string }

func span(lo, hi any) string { return fmt.Sprintf("%v to %v", lo, hi) }

// facts are by the path of the field in a tenant's file.
var facts = map[string]fact{
	"apiVersion": {"required", "`" + APIVersion + "`", "version of the file's form"},
	"kind":       {"required", "`" + KindTenant + "`", "what the file declares"},
	"id":         {"required", "a name; never changes", "the tenant, and the name of its NATS account"},
	"name":       {"the id", "120 bytes", "for people"},
	"contact":    {"none", "200 bytes", "who is to be informed"},
	"policy":     {PolicyEnforce, "`enforce`, `warn`", "what happens to a message that breaks its schema: refused, or stored with `ce-violation` and counted"},

	"quota":             {"", "", "how much the tenant may use"},
	"quota.storage":     {DefaultStorage.String(), span(MinStorage, MaxStorage), "of all streams together, bytes of one copy"},
	"quota.connections": {fmt.Sprint(DefaultConnections), span(1, MaxConnections), "of pollers, applications and people"},
	"quota.messageRate": {fmt.Sprint(DefaultMessageRate), span(1, MaxMessageRate), "messages per second, over all nodes"},
	"quota.messageSize": {DefaultMessageSize.String(), span(MinMessageSize, MaxMessageSize), "payload of one message"},

	"quota.connectionsPerUser":  {fmt.Sprint(DefaultConnectionsPerUser), span(MinConnectionsPerUser, MaxConnectionsPerUser), "of one user, over all nodes; what is more is closed"},
	"quota.subscriptions":       {fmt.Sprint(DefaultSubscriptions), span(MinSubscriptions, MaxSubscriptions), "NATS subscriptions of one connection"},
	"quota.consumers":           {fmt.Sprint(DefaultConsumers), span(1, MaxConsumers), "durable consumers of one stream"},
	"quota.maxAckPending":       {fmt.Sprint(DefaultMaxAckPending), span(1, MaxAckPending), "messages a consumer may have out unacknowledged"},
	"quota.byteRate":            {"4KiB × messageRate", span(MinByteRate, MaxByteRate), "bytes per second with subject and headers, over all nodes"},
	"quota.producerMessageRate": {"messageRate / 4", span(1, MaxMessageRate), "messages per second of one producer at one node"},
	"quota.producerByteRate":    {"byteRate / 4", span(MinByteRate, MaxByteRate), "bytes per second of one producer at one node"},

	"retention":         {"", "", "how long what has been read is kept"},
	"retention.events":  {showDuration(DefaultRetentionEvents), span(showDuration(MinRetention), showDuration(MaxRetention)), "age from which read events may go"},
	"retention.metrics": {showDuration(DefaultRetentionMetrics), span(showDuration(MinRetention), showDuration(MaxRetention)), "the same for metrics"},
	"retention.dead":    {showDuration(DefaultRetentionDead), span(showDuration(MinRetention), showDuration(MaxRetention)), "the same for dead letters, read or not"},

	"sites":                      {"none", "", "places in the tenant's network"},
	"sites[].id":                 {"required", "a name", "unique within the tenant"},
	"sites[].name":               {"the id", "120 bytes", "for people"},
	"sites[].pollers":            {"none", "", "agents at the site; one at least where there are devices"},
	"sites[].pollers[].id":       {"required", "a name, used once in the tenant", "the poller, and the name of its user"},
	"sites[].pollers[].embedded": {"false", "", "`midplane up` runs it itself"},

	"sites[].devices":           {"none", "", "what is watched"},
	"sites[].devices[].id":      {"required", "80 bytes of printable text", "unique within the site; without `/if/` and `/check/`"},
	"sites[].devices[].name":    {"none", "200 bytes", "for people"},
	"sites[].devices[].address": {"required", "", "host name or IP address"},
	"sites[].devices[].poller":  {"shared out", "a poller of the site", "who watches it; without it the site's pollers share such devices"},
	"sites[].devices[].snmp":    {"none", "", "how to talk to its SNMP agent"},
	"sites[].devices[].checks":  {"ping, and snmp where there is `snmp`", "", "what to do on a schedule"},

	"sites[].devices[].checks[].name":      {"required", "a name", "unique within the device"},
	"sites[].devices[].checks[].collector": {"required", "see [Collectors](#collectors)", "who does it"},
	"sites[].devices[].checks[].interval":  {showDuration(DefaultInterval), "1s to 24h", "from the beginning of one run to that of the next, a tenth earlier or later"},
	"sites[].devices[].checks[].timeout":   {showDuration(DefaultTimeout) + ", or the interval when that is shorter", "50ms to the interval", "how long it may work on the network"},
	"sites[].devices[].checks[].params":    {"none", "32 at most, values of 2048 bytes", "the collector's own"},

	"sites[].devices[].snmp.version":        {"2c with a community, 3 with a user", "", "\"2c\" or \"3\""},
	"sites[].devices[].snmp.port":           {fmt.Sprint(DefaultSNMPPort), "1 to 65535", "UDP port of the agent"},
	"sites[].devices[].snmp.community":      {"none", "a reference", "for version 2c"},
	"sites[].devices[].snmp.user":           {"none", "32 bytes", "for version 3, like the rest"},
	"sites[].devices[].snmp.authProtocol":   {"none", "", "MD5 SHA SHA224 SHA256 SHA384 SHA512"},
	"sites[].devices[].snmp.authSecret":     {"none", "a reference", "goes with authProtocol"},
	"sites[].devices[].snmp.privProtocol":   {"none", "DES AES AES192 AES256 AES192C AES256C", "needs authProtocol"},
	"sites[].devices[].snmp.privSecret":     {"none", "a reference", "goes with privProtocol"},
	"sites[].devices[].snmp.context":        {"none", "64 bytes", "SNMP context"},
	"sites[].devices[].snmp.maxRepetitions": {"the collector's", "0 to 255", "rows asked for at once"},

	"subscriptions":                   {"none", "", "durable consumers for applications, made by the control plane"},
	"subscriptions[].application":     {"required", "a name that is no poller's", "the `reader`, `app` or `inspector` that reads"},
	"subscriptions[].name":            {"required", "a name", "unique within the application"},
	"subscriptions[].stream":          {"required", "`EVENTS`, `STATE`, `METRICS`, `DEAD`", "what it reads"},
	"subscriptions[].filter":          {"everything", fmt.Sprintf("%d combinations", streams.MaxFilters), "which messages; an empty list means any"},
	"subscriptions[].filter.severity": {"any", "the eight of RFC 5424; EVENTS only", "exactly these"},
	"subscriptions[].filter.type":     {"any", "types, or their first words", "`net.interface` stands for all that begin so"},
	"subscriptions[].filter.site":     {"any", "sites of the tenant, or `_`; not for DEAD", "`_` is the site of producers that have none"},
	"subscriptions[].whenFull":        {WhenFullHold, "`hold`, `skip`", "hold: what is unread stays, and producers wait; skip: it may go, and an event says what"},

	"schemas":               {"none", "200", "the tenant's own types"},
	"schemas[].type":        {"required", "", "like `acme.door.opened.v1`; not one of Midplane's own"},
	"schemas[].kind":        {"required", "`event`, `state`, `metric`", "of which kind its messages are"},
	"schemas[].version":     {"1", "", "raised for a compatible change; a breaking one is a new type"},
	"schemas[].file":        {"required, or `schema`", "64 KiB, inside the folder", "JSON Schema 2020-12, named relative to this file"},
	"schemas[].schema":      {"none", "64 KiB", "the schema itself instead of a file: as fields, or as the text of its JSON"},
	"schemas[].example":     {"required, or `exampleFile`", "", "a payload that the schema accepts"},
	"schemas[].exampleFile": {"none", "", "the same in a file of its own"},
	"schemas[].line":        {"none", "", "one line for people, with `{field}` in it"},
}
