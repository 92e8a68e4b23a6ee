package telemetry

import "go.opentelemetry.io/otel/attribute"

// Attribute names of spans and metrics. Tenant, stream and reason have few values;
// entities and message ids belong to spans only, never to metrics.
// The messaging.* names follow OpenTelemetry's semantic conventions.
const (
	AttrTenant   = attribute.Key("midplane.tenant")
	AttrSite     = attribute.Key("midplane.site")
	AttrProducer = attribute.Key("midplane.producer")
	AttrPoller   = attribute.Key("midplane.poller")
	AttrEntity   = attribute.Key("midplane.entity")
	AttrType     = attribute.Key("midplane.type")
	AttrKind     = attribute.Key("midplane.kind")
	AttrReason   = attribute.Key("midplane.reason")
	AttrStream   = attribute.Key("midplane.stream")
	AttrNode     = attribute.Key("midplane.node")
	AttrCheck    = attribute.Key("midplane.check")
	AttrLimit    = attribute.Key("midplane.limit")

	AttrSystem      = attribute.Key("messaging.system")
	AttrOperation   = attribute.Key("messaging.operation.name")
	AttrDestination = attribute.Key("messaging.destination.template")
	AttrBatchCount  = attribute.Key("messaging.batch.message_count")

	AttrRoute  = attribute.Key("http.route")
	AttrStatus = attribute.Key("http.response.status_code")
)

// System is messaging.system on every messaging span.
var System = AttrSystem.String("nats")

// Span names.
const (
	SpanCollect = "collect" // one check of one device (poller)
	SpanPublish = "publish" // outbox → ingress (poller)
	SpanAdmit   = "admit"   // ingress
	SpanProcess = "process" // one message in the primary's transaction
	SpanFold    = "fold"    // the transaction, linked to its messages
	SpanServe   = "serve"   // one request to the console
)

// Metric names, in OpenTelemetry form; Prometheus shows them with underscores
// and, for counters, "_total".
const (
	MetricIngressAccepted   = "midplane.ingress.accepted"         // counter: tenant, kind
	MetricIngressBytes      = "midplane.ingress.accepted.size"    // counter, bytes: tenant, kind
	MetricIngressLimited    = "midplane.ingress.limited"          // counter: tenant, producer, limit
	MetricIngressRefused    = "midplane.ingress.refused"          // counter: tenant, reason
	MetricIngressDropped    = "midplane.ingress.dropped"          // counter: tenant, reason (of messages dropped without an answer)
	MetricIngressLatency    = "midplane.ingress.latency"          // histogram, seconds
	MetricOutboxDepth       = "midplane.outbox.depth"             // gauge, messages: poller
	MetricOutboxAge         = "midplane.outbox.oldest.age"        // gauge, seconds: poller
	MetricOutboxGivenUp     = "midplane.outbox.given.up"          // counter: poller, reason
	MetricCollect           = "midplane.collect.duration"         // histogram, seconds: check's collector
	MetricCollectLag        = "midplane.collect.lag"              // histogram, seconds: check's collector (from due to begun)
	MetricCollectSkipped    = "midplane.collect.skipped"          // counter: check's collector (the run before was still under way)
	MetricCollectPolls      = "midplane.collect.polls"            // counter: poller, check's collector
	MetricCollectPlaces     = "midplane.collect.places.used"      // gauge: poller, kind (usual or slow)
	MetricCollectBound      = "midplane.collect.places.bound"     // gauge: poller, kind (usual or slow)
	MetricOutboxPut         = "midplane.outbox.put"               // counter, messages: poller, kind
	MetricOutboxPutBytes    = "midplane.outbox.put.size"          // counter, bytes: poller, kind
	MetricForwardPace       = "midplane.forward.pace"             // gauge, messages a second: poller
	MetricForwardShare      = "midplane.forward.share"            // gauge, messages a second: poller
	MetricForwardHeld       = "midplane.forward.held"             // gauge, 1 or 0: poller
	MetricPrimaryLag        = "midplane.primary.lag"              // gauge, messages: tenant, stream
	MetricPrimaryFolded     = "midplane.primary.folded"           // counter: tenant, kind
	MetricPrimaryAlarms     = "midplane.primary.alarms"           // counter: tenant, alarm
	MetricPrimaryCompared   = "midplane.primary.compared"         // counter: tenant, outcome
	MetricPrimaryDifferent  = "midplane.primary.different"        // gauge: tenant
	MetricTenantBytes       = "midplane.tenant.storage.used"      // gauge, bytes: tenant, stream
	MetricTenantMessages    = "midplane.tenant.messages"          // gauge: tenant, stream
	MetricConnectionsClosed = "midplane.connections.closed"       // counter: tenant, reason
	MetricRegistryRev       = "midplane.registry.revision"        // gauge: node
	MetricCanaryAge         = "midplane.canary.age"               // gauge, seconds: node
	MetricCanaryLeaks       = "midplane.canary.leaks"             // counter: tenant that saw a marker of another
	MetricProbeDuration     = "midplane.probe.duration"           // gauge, seconds: node
	MetricProbeFailures     = "midplane.probe.failures"           // counter: node
	MetricConsoleRequest    = "midplane.console.request.duration" // histogram, seconds: route, status
)
