package primary

import "log/slog"

// once logs something that fails again and again when it begins to, when the
// reason changes, and when it works again. For one goroutine.
type once struct {
	log          *slog.Logger
	fails, works string
	said         string
}

// note takes how it went this time.
func (o *once) note(err error) {
	switch {
	case err == nil && o.said != "":
		o.said = ""
		o.log.Info(o.works)
	case err != nil && err.Error() != o.said:
		o.said = err.Error()
		o.log.Warn(o.fails, "error", err)
	}
}
