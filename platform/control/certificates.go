package control

import (
	"fmt"
	"time"

	"midplane/api"
)

// certificatesEvery is how often a node repeats in its log what is wrong with
// its certificates.
const certificatesEvery = 24 * time.Hour

// certificates is what this node has said of its certificates.
type certificates struct {
	said string
	at   time.Time
}

// certificates returns what is wrong with this node's certificates, and says it
// in the log when it is new, then once a day.
func (c *Control) certificates(last *certificates) string {
	if c.cfg.Certificates == nil {
		return ""
	}
	now := c.cfg.Certificates()
	if now != last.said || now != "" && time.Since(last.at) > certificatesEvery {
		if now != "" {
			c.tel.Log.Warn("certificates", "problem", now, "hint", "midplane rotate certs")
		} else {
			c.tel.Log.Info("the certificates are in order again")
		}
		*last = certificates{now, time.Now()}
	}
	return now
}

func certificatesProblem(node, what string) api.Problem {
	return api.Problem{Severity: "warning", Message: fmt.Sprintf("certificates of node %s: %s", node, what),
		Hint: "make new ones with: midplane rotate certs --dir DEPLOYMENT, and give each node its own; it takes them without a restart"}
}
