package telemetry

// Units of metrics (UCUM). The Prometheus exporter appends the first two to the
// name ("_seconds", "_bytes") and leaves out the annotation in braces; any other
// unit would change a metric's name.
const (
	UnitSeconds  = "s"
	UnitBytes    = "By"
	UnitMessages = "{message}"
)
