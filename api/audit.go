package api

import "time"

// Verbs of the admin service about the audit log.
const (
	AuditList   = "audit.list"   // AuditRequest → Page[AuditRecord], oldest first
	AuditFollow = "audit.follow" // AuditRequest → Page[AuditRecord]; waits for the first
	AuditReport = "audit.report" // AuditAct → {}: what a console did for its users
)

// Results of an act. Any other result is the class of the error it ended with.
const (
	AuditBegun = "begun" // written before the act; without another record of the same id it is not known how the act ended
	AuditOK    = "ok"
)

// AuditRecord is one administrative act. When Via is empty, the server's
// permissions vouch for Who; otherwise they vouch for Via, and Who and From are
// what Via reported.
type AuditRecord struct {
	ID     string    `json:"id"` // the same for the record before an act and the one after it
	Seq    uint64    `json:"seq"`
	Time   time.Time `json:"time"`
	Who    string    `json:"who"`
	Via    string    `json:"via,omitempty"`
	From   string    `json:"from"`
	Verb   string    `json:"verb"`
	Target string    `json:"target,omitempty"`
	Tenant string    `json:"tenant,omitempty"`
	Result string    `json:"result"`
	Detail string    `json:"detail,omitempty"`
	Node   string    `json:"node"` // the node that answered
}

// AuditRequest filters the audit log. After is a sequence ("" = from the start;
// audit.follow with After "now" begins at the end). With Newest, a list holds
// the last Limit acts that match, still oldest first, each act once.
type AuditRequest struct {
	Tenant string     `json:"tenant,omitempty"`
	Who    string     `json:"who,omitempty"`
	Since  *time.Time `json:"since,omitempty"`
	Limit  int        `json:"limit,omitempty"`
	After  string     `json:"after,omitempty"`
	Newest bool       `json:"newest,omitempty"`
}

// Matches reports whether the filter lets a record through.
func (r AuditRequest) Matches(rec AuditRecord) bool {
	return (r.Tenant == "" || r.Tenant == rec.Tenant) && (r.Who == "" || r.Who == rec.Who) &&
		(r.Since == nil || !rec.Time.Before(*r.Since))
}

// AuditAct is an act that the reporting program did for another user, as a
// console does for its users. Verb begins with "console.".
type AuditAct struct {
	ID     string `json:"id"` // the same act, the same id
	Who    string `json:"who"`
	From   string `json:"from"`
	Verb   string `json:"verb"`
	Target string `json:"target,omitempty"`
	Tenant string `json:"tenant,omitempty"`
	Result string `json:"result"`
	Detail string `json:"detail,omitempty"`
}

// Reads reports whether a verb of the admin service changes nothing. A verb that
// waits for something new is a read, too, but is not among those that Admin.Do
// requests again, since its answer takes long on purpose.
func Reads(verb string) bool { return reads[verb] || verb == AuditFollow }
