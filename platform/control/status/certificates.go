package status

import "time"

// certificatesEvery is how often a node repeats in its log what is wrong with
// its certificates.
const certificatesEvery = 24 * time.Hour

// certificates is what this node has logged of its certificates.
type certificates struct {
	logged string
	at     time.Time
}

// certificates returns what is wrong with this node's certificates, and logs it
// when it is new, then once a day.
func (p *Presence) certificates(last *certificates) string {
	if p.cfg.Certificates == nil {
		return ""
	}
	now := p.cfg.Certificates()
	if now != last.logged || now != "" && time.Since(last.at) > certificatesEvery {
		if now != "" {
			p.cfg.Log.Warn("certificates", "problem", now, "hint", "midplane rotate certs")
		} else {
			p.cfg.Log.Info("the certificates are in order again")
		}
		*last = certificates{now, time.Now()}
	}
	return now
}
