package tenancy

import (
	_ "embed"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml"

	"midplane/fault"
)

//go:embed testdata/matrix.yaml
var source []byte

// Verbs of the matrix, in the order it is shown and tried.
const (
	Connect   = "connect"   // come in over TCP, or inside a node's process
	Publish   = "publish"   // send a message there
	Subscribe = "subscribe" // receive what is sent there
	Answer    = "answer"    // have the answer to a permitted request sent there
	Deliver   = "deliver"   // make a push consumer that delivers there
	Name      = "name"      // have this signed as a user's name, or as its subscription
	Header    = "header"    // write this into a permitted message
)

// Verbs lists them.
var Verbs = []string{Connect, Publish, Subscribe, Answer, Deliver, Name, Header}

// Results of a cell.
const (
	Allowed = "allowed"
	Refused = "refused"
)

// Matrix is who may do what.
type Matrix struct {
	Roles  []Role           `yaml:"roles"`
	Groups map[string]Group `yaml:"groups"`
	Rows   []Row            `yaml:"rows"`
	Tricks []Trick          `yaml:"tricks"`
}

// Role is a role of one account, and the user that tries what it may.
type Role struct {
	Role   string `yaml:"role"` // account/role
	User   string `yaml:"user"`
	Inside bool   `yaml:"inside"` // connects in-process only
	Who    string `yaml:"who"`
}

// Group is a list of subjects that belong together.
type Group struct {
	What     string   `yaml:"what"`
	Subjects []string `yaml:"subjects"`
}

// Row is many cells with one result: every role, by every way, at every subject.
type Row struct {
	Verb     string              `yaml:"verb"`
	Roles    []string            `yaml:"roles"`
	Via      []string            `yaml:"via"`      // the requests, consumers or spellings
	Of       []string            `yaml:"of"`       // groups
	Subjects []string            `yaml:"subjects"` // and single ones
	But      map[string][]string `yaml:"but"`      // subjects that are a role's own
	Result   string              `yaml:"result"`
	// How says what shows the result when it is not the usual: "taken", the
	// server takes it, but no test can receive it; "no-responders", the server
	// takes it, and answers that there are no responders.
	How string `yaml:"how"`
}

// Trick is one message to the door.
type Trick struct {
	Shows   string `yaml:"shows"`
	Subject string `yaml:"subject"`
	Reply   string `yaml:"reply"`
	Header  string `yaml:"header"`
	Data    string `yaml:"data"`
	Want    string `yaml:"want"`
}

// Cell is one thing that is tried.
type Cell struct {
	Verb, Role, Via, Subject string
	Allowed                  bool
	How                      string
}

// Load reads the matrix and checks that it is well formed.
func Load() (Matrix, error) {
	var m Matrix
	if err := yaml.UnmarshalWithOptions(source, &m, yaml.Strict()); err != nil {
		return m, fault.Wrap(fault.Invalid, err, "the permission matrix")
	}
	tricks := m.Groups["tricks"]
	for i := range m.Tricks {
		t := &m.Tricks[i]
		tricks.Subjects = append(tricks.Subjects, t.Shows)
		for _, s := range []*string{&t.Reply, &t.Header, &t.Data} {
			*s = unfold(*s)
		}
	}
	m.Groups["tricks"] = tricks
	for i, r := range m.Rows {
		if !slices.Contains(Verbs, r.Verb) || r.Result != Allowed && r.Result != Refused || len(r.Roles) == 0 || len(r.Of)+len(r.Subjects) == 0 {
			return m, fault.New(fault.Invalid, "row %d of the permission matrix is incomplete: %+v", i+1, r)
		}
		for _, g := range r.Of {
			if len(m.Groups[g].Subjects) == 0 {
				return m, fault.New(fault.Invalid, "row %d of the permission matrix: no group %q", i+1, g)
			}
		}
		for _, role := range r.Roles {
			if !slices.ContainsFunc(m.Roles, func(known Role) bool { return known.Role == role }) {
				return m, fault.New(fault.Invalid, "row %d of the permission matrix: no role %q", i+1, role)
			}
		}
	}
	return m, nil
}

var folded = regexp.MustCompile(`\{([a-z])\*(\d+)\}`)

// unfold writes "{a*3}" out.
func unfold(s string) string {
	return folded.ReplaceAllStringFunc(s, func(f string) string {
		m := folded.FindStringSubmatch(f)
		n, _ := strconv.Atoi(m[2]) // digits
		return strings.Repeat(m[1], n)
	})
}

// Of returns the cells of one role in a row.
func (m Matrix) Of(r Row, role string) (out []Cell) {
	subjects := slices.Clone(r.Subjects)
	for _, g := range r.Of {
		subjects = append(subjects, m.Groups[g].Subjects...)
	}
	via := r.Via
	if len(via) == 0 {
		via = []string{""}
	}
	for _, v := range via {
		for _, s := range subjects {
			if !slices.Contains(r.But[role], s) {
				out = append(out, Cell{Verb: r.Verb, Role: role, Via: v, Subject: s, Allowed: r.Result == Allowed, How: r.How})
			}
		}
	}
	return out
}

// Cells returns every cell, by verb and role.
func (m Matrix) Cells() (out []Cell) {
	for _, verb := range Verbs {
		for _, role := range m.Roles {
			for _, r := range m.Rows {
				if r.Verb == verb && slices.Contains(r.Roles, role.Role) {
					out = append(out, m.Of(r, role.Role)...)
				}
			}
		}
	}
	return out
}
