package subject

import (
	"strings"

	"midplane/event"
)

// AuditAll is what the audit stream listens on.
const AuditAll = "audit.>"

// Audit returns the subject of the record of an act: audit.<who>.<verb…>. A who
// that is no plain name (for instance the id in a wrong enrolment token, which
// belongs to no user) is encoded.
func Audit(who, verb string) string {
	if who == "" {
		who = "_"
	}
	if event.CheckName("user", who) != nil && who != "_" {
		who = EncodeEntity(event.Entity(who))
	}
	words := strings.Split(verb, ".")
	for i, w := range words {
		words[i] = EncodeEntity(event.Entity(w))
	}
	return "audit." + who + "." + strings.Join(words, ".")
}

// CanaryAll is what the isolation canary listens to in each tenant.
const CanaryAll = "canary.>"

// Canary returns the subject of one marker.
func Canary(random string) string { return "canary." + random }
