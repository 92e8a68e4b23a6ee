package telemetry

// Units of metrics (UCUM). Prometheus spells the first two out at the end of
// the name ("_seconds", "_bytes") and leaves the annotation away; a metric of
// theirs with any other unit would be shown under another name.
const (
	UnitSeconds  = "s"
	UnitBytes    = "By"
	UnitMessages = "{message}"
)
