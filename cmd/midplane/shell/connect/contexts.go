package connect

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/nats-io/jsm.go/natscontext"

	"midplane/fault"
	"midplane/subject"
)

// DefaultContext is the NATS context that "midplane up" saves and every
// command uses.
const DefaultContext = "midplane"

// Context is a NATS context that a command saves.
type Context struct {
	Name        string // wanted; another one when it is taken
	Chosen      bool   // Name was given on the command line: that one or none
	Servers     string // comma list
	Creds, CA   string // files
	User        string
	Description string
}

// OnThisMachine begins the description of every context that "up" saves.
const OnThisMachine = "Midplane on this machine"

// maxContexts is how many names are tried.
const maxContexts = 100

// contextFile is what is read of a saved context. It is only read: the library
// would run other programs that a context names.
type contextFile struct {
	Description string `json:"description"`
	URL         string `json:"url"`
	Creds       string `json:"creds"`
	InboxPrefix string `json:"inbox_prefix"`
}

func readContext(name string) (contextFile, error) {
	var c contextFile
	path, err := natscontext.ContextPath(name)
	if err != nil {
		return c, err
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return c, err
	}
	return c, json.Unmarshal(data, &c)
}

// Place returns the name under which the context can be saved: one that is
// free, or one that has the same credentials already. A context of other
// credentials is another deployment's and stays, unless it is one of this
// machine whose credentials are gone.
func (c Context) Place() (string, error) {
	if _, err := natscontext.ContextPath(c.Name); err != nil {
		return "", fault.WithHint(fault.New(fault.Invalid, "%q cannot be the name of a NATS context", c.Name), "use letters, digits, - and _")
	}
	free := ""
	for i := range maxContexts {
		name := c.Name
		if i > 0 {
			name += "-" + strconv.Itoa(i+1)
		}
		have, err := readContext(name)
		switch {
		case err == nil && filepath.Clean(have.Creds) == filepath.Clean(c.Creds):
			return name, nil
		case errors.Is(err, fs.ErrNotExist), err == nil && have.abandoned():
			if free == "" {
				free = name
			}
		}
		if c.Chosen {
			break
		}
	}
	if free == "" {
		return "", fault.WithHint(fault.New(fault.Conflict, "NATS context %q points at another deployment", c.Name),
			"it was left as it is; choose another name with --context-name, and see: midplane context ls")
	}
	return free, nil
}

// abandoned reports that a context was saved by "up" and its folder is gone.
func (c contextFile) abandoned() bool {
	if !strings.HasPrefix(c.Description, OnThisMachine) {
		return false
	}
	_, err := os.Stat(c.Creds)
	return errors.Is(err, fs.ErrNotExist)
}

// Save writes the context, does not select it, and returns its name.
func (c Context) Save() (string, error) {
	name, err := c.Place()
	if err != nil {
		return "", err
	}
	opts := []natscontext.Option{
		natscontext.WithServerURL(c.Servers), natscontext.WithCreds(c.Creds),
		natscontext.WithInboxPrefix(subject.InboxPrefix(c.User)), natscontext.WithDescription(c.Description),
	}
	if c.CA != "" {
		opts = append(opts, natscontext.WithCA(c.CA))
	}
	nctx, err := natscontext.New(name, false, opts...)
	if err == nil {
		err = nctx.Save(name)
	}
	return name, fault.Wrap(fault.Other, err, "save NATS context %s", name)
}

// FlagFor is what a command line needs to use a context: nothing for the
// default one.
func FlagFor(context string) string {
	if context == DefaultContext {
		return ""
	}
	return " --context " + context
}

// Saved is a saved context, as "midplane context ls" prints it.
type Saved struct {
	Name        string   `json:"name"`
	User        string   `json:"user"` // by its inbox prefix; "" when Midplane did not write it
	Servers     []string `json:"servers"`
	Description string   `json:"description"`
	Selected    bool     `json:"selected"` // the one that the nats CLI uses
	Used        bool     `json:"used"`     // the one that this command line uses now
	Problem     string   `json:"problem,omitempty"`
}

// ListContexts lists the saved contexts, those of other systems too. used is
// the one that this command line uses.
func ListContexts(used string) []Saved {
	rows := []Saved{}
	selected := natscontext.SelectedContext()
	names := natscontext.KnownContexts()
	slices.Sort(names)
	for _, name := range names {
		row := Saved{Name: name, Servers: []string{}, Selected: name == selected, Used: name == used}
		file, err := readContext(name)
		if err != nil {
			row.Problem = "cannot be read"
		}
		row.Description = file.Description
		for _, s := range strings.Split(file.URL, ",") {
			if s != "" {
				row.Servers = append(row.Servers, withoutUser(s))
			}
		}
		if user, ok := strings.CutPrefix(file.InboxPrefix, subject.InboxPrefix("")); ok {
			row.User = user
		}
		rows = append(rows, row)
	}
	return rows
}

// withoutUser hides what may be a password in a URL that another program wrote.
func withoutUser(server string) string {
	if i := strings.LastIndex(server, "@"); i >= 0 {
		return "…" + server[i:]
	}
	return server
}

// ContextNames are the names of the saved contexts.
func ContextNames() []string { return natscontext.KnownContexts() }

// SelectContext selects the context that the nats CLI uses.
func SelectContext(name string) error {
	if !natscontext.IsKnown(name) {
		return fault.WithHint(fault.New(fault.NotFound, "no NATS context %q", name), "see: midplane context ls")
	}
	return fault.Wrap(fault.Other, natscontext.SelectContext(name), "select context %s", name)
}
