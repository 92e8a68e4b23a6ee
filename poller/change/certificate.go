package change

import (
	"fmt"
	"time"

	"midplane/event"
)

// certificateDays are the numbers of days left at which a certificate is
// worth an event, in falling order. The last is late.
var certificateDays = [...]int{30, 14, 7, 1}

// certificate: fewer days are left than at the reading before. Days count from
// the states' own times, so that the same readings always give the same
// events. Another NotAfter is another certificate: seen for the first time.
func certificate(at moment, was *event.Check, is event.Check) []finding {
	if is.NotAfter == nil {
		return nil
	}
	now := stage(*is.NotAfter, at.next.Time)
	before := 0
	if was != nil && was.NotAfter != nil && was.NotAfter.Equal(*is.NotAfter) {
		before = stage(*was.NotAfter, at.prev.Time)
	}
	if now <= before {
		return nil
	}
	days := daysLeft(*is.NotAfter, at.next.Time)
	severity := event.Warning
	if days < 7 {
		severity = event.Critical
	}
	return []finding{{severity, event.TypeCertificateExpiring, event.CertificateExpiring{
		Device: is.Device, Name: is.Name, Target: is.Target, NotAfter: is.NotAfter.UTC(), Days: days,
		Message: "the certificate " + expiry(days),
	}}}
}

// stage is how many of certificateDays are reached, one more when it is over.
func stage(notAfter, now time.Time) int {
	left := notAfter.Sub(now)
	n := 0
	for _, days := range certificateDays {
		if left < time.Duration(days)*24*time.Hour {
			n++
		}
	}
	if left <= 0 {
		n++
	}
	return n
}

// daysLeft is rounded down, so that the last day is 0 and an expired
// certificate is negative.
func daysLeft(notAfter, now time.Time) int {
	left := notAfter.Sub(now)
	days := int(left / (24 * time.Hour))
	if left < 0 && left%(24*time.Hour) != 0 {
		days--
	}
	return days
}

func expiry(days int) string {
	switch {
	case days < 0:
		return "has expired"
	case days == 0:
		return "expires within a day"
	case days == 1:
		return "expires in 1 day"
	}
	return fmt.Sprintf("expires in %d days", days)
}
