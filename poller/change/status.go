package change

import (
	"fmt"

	"midplane/event"
)

// reachability: a device went down or came up.
func reachability(_ moment, was *event.Reachability, is event.Reachability) []finding {
	from := event.StatusUnknown
	if was != nil {
		from = was.Status
	}
	if from == is.Status {
		return nil
	}
	severity, message := event.Notice, "answers "+is.Method
	if is.Status == event.StatusDown {
		severity, message = event.Critical, "does not answer "+is.Method
		if is.Message != "" {
			message = is.Message
		}
	}
	return []finding{{severity, event.TypeReachabilityChanged,
		event.Changed{Device: is.Device, From: from, To: is.Status, Message: clip(message)}}}
}

// check: a check has another result, or its certificate is about to expire.
func check(at moment, was *event.Check, is event.Check) []finding {
	var out []finding
	from := event.CheckUnknown
	if was != nil {
		from = was.Status
	}
	// A first reading "unknown" is worth telling: the check does not work.
	if from != is.Status || was == nil {
		message := is.Message
		if message == "" {
			message = "the check is " + is.Status
		}
		out = append(out, finding{checkSeverity(is.Status), event.TypeCheckChanged,
			event.Changed{Device: is.Device, Name: is.Name, From: from, To: is.Status, Message: clip(message)}})
	}
	return append(out, certificate(at, was, is)...)
}

func checkSeverity(status string) event.Severity {
	switch status {
	case event.CheckOK:
		return event.Notice
	case event.CheckCritical:
		return event.Critical
	}
	return event.Warning
}

// iface: an interface that should work stopped or came back, or an
// administrator switched it on or off.
func iface(_ moment, was *event.Interface, is event.Interface) []finding {
	changed := func(severity event.Severity, from, to, format string, args ...any) []finding {
		message := fmt.Sprintf(format, args...)
		if is.Alias != "" {
			message += " (" + is.Alias + ")"
		}
		return []finding{{severity, event.TypeInterfaceChanged, event.Changed{
			Device: is.Device, Name: is.Name, From: from, To: to, Message: clip(message)}}}
	}
	enabled := is.AdminStatus == "up"
	switch {
	case was == nil:
		if enabled && broken(is.OperStatus) {
			return changed(event.Error, event.StatusUnknown, is.OperStatus, "enabled, but %s when first seen", is.OperStatus)
		}
	case was.AdminStatus != is.AdminStatus && enabled && broken(is.OperStatus):
		return changed(event.Error, was.OperStatus, is.OperStatus, "enabled by an administrator, but %s", is.OperStatus)
	case was.AdminStatus != is.AdminStatus:
		return changed(event.Info, was.AdminStatus, is.AdminStatus, "set to %s by an administrator", is.AdminStatus)
	case enabled && broken(is.OperStatus) && !broken(was.OperStatus):
		return changed(event.Error, was.OperStatus, is.OperStatus, "went %s", is.OperStatus)
	case enabled && working(is.OperStatus) && broken(was.OperStatus):
		return changed(event.Notice, was.OperStatus, is.OperStatus, "%s again", is.OperStatus)
	}
	return nil
}

// broken reports whether an enabled interface in this operational status is a
// fault. "dormant" waits for an event, "unknown" is what loopback and tunnel
// interfaces report while they work, "testing" is set on purpose.
func broken(oper string) bool {
	return oper == "down" || oper == "lowerLayerDown" || oper == "notPresent"
}

// working reports whether an interface passes packets, or would if asked.
func working(oper string) bool { return oper == "up" || oper == "dormant" || oper == "unknown" }
