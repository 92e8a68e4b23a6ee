package tenants

import (
	"fmt"
	"strings"
	"time"

	"midplane/api"
)

// show prints a value for a sentence: "30d", "1 GiB", "2000".
func show(v any) string {
	switch x := v.(type) {
	case Bytes:
		return x.Spaced()
	case api.Duration:
		return showDuration(x.Std())
	case time.Duration:
		return showDuration(x)
	case string:
		if x == "" {
			return "none"
		}
		return clip(x)
	}
	return clip(fmt.Sprint(v))
}

func showDuration(d time.Duration) string {
	const day = 24 * time.Hour
	if d >= 2*day && d%day == 0 {
		return fmt.Sprintf("%dd", d/day)
	}
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = s[:len(s)-2]
	}
	if strings.HasSuffix(s, "h0m") {
		s = s[:len(s)-2]
	}
	return s
}
