package connect

import (
	"cmp"
	"os"
	"strings"
	"time"

	"github.com/nats-io/jsm.go/natscontext"

	"midplane/bus/renew"
	"midplane/event"
	"midplane/fault"
	"midplane/subject"
)

// Target is where a command connects, and as which user: a NATS context, or
// what the variables of the nats CLI name instead of all or some of it.
type Target struct {
	Context string // "" when the variables name servers and credentials
	From    string // "environment NATS_URL, NATS_CREDS"; "" when it is the setting context

	url, creds, ca string // instead of the context's
}

// FindTarget finds it. name is the setting context; when a person has chosen
// it, wherever it came from, it wins; then the variables of the nats CLI do;
// then name, which is the default context.
func FindTarget(name string, chosen bool) Target {
	if chosen {
		return Target{Context: name}
	}
	t := Target{url: os.Getenv("NATS_URL"), creds: os.Getenv("NATS_CREDS"), ca: os.Getenv("NATS_CA")}
	other := os.Getenv("NATS_CONTEXT")
	if t.Context = cmp.Or(other, name); other == "" && t.url != "" && t.creds != "" {
		t.Context = ""
	}
	var from []string
	for _, v := range []struct{ name, value string }{{"NATS_CONTEXT", other}, {"NATS_URL", t.url}, {"NATS_CREDS", t.creds}, {"NATS_CA", t.ca}} {
		if v.value != "" {
			from = append(from, v.name)
		}
	}
	if len(from) > 0 {
		t.From = "environment " + strings.Join(from, ", ")
	}
	return t
}

// String is how messages call it.
func (t Target) String() string {
	switch {
	case t.Context == "":
		return t.creds + " (" + t.From + ")"
	case t.From != "":
		return "context \"" + t.Context + "\" (" + t.From + ")"
	}
	return "context \"" + t.Context + "\""
}

// load reads it. The name of its user is in the credentials, or else in the
// context's inbox prefix: the server lets a user listen nowhere else.
func (t Target) load() (*natscontext.Context, string, error) {
	var over []natscontext.Option
	user := ""
	if t.url != "" {
		over = append(over, natscontext.WithServerURL(t.url))
	}
	if t.ca != "" {
		over = append(over, natscontext.WithCA(t.ca))
	}
	if t.creds != "" {
		creds, err := renew.Read(t.creds)
		if err == nil {
			err = event.CheckName("user", creds.Name)
		}
		if err != nil {
			return nil, "", fault.WithHint(fault.Wrap(fault.Invalid, err, "NATS_CREDS"), "name a .creds file that midplane wrote, or unset NATS_CREDS")
		}
		user = creds.Name
		over = append(over, natscontext.WithCreds(t.creds), natscontext.WithInboxPrefix(subject.InboxPrefix(user)))
	}
	if t.Context == "" {
		nctx, err := natscontext.New("", false, over...)
		return nctx, user, err
	}
	return loadContext(t.Context, over)
}

// loadContext reads a NATS context; over holds what counts instead of what is
// in it.
func loadContext(name string, over []natscontext.Option) (*natscontext.Context, string, error) {
	path, err := natscontext.ContextPath(name)
	if err != nil {
		return nil, "", fault.WithHint(fault.New(fault.Invalid, "%q cannot be the name of a NATS context", name), "see the files in $XDG_CONFIG_HOME/nats/context")
	}
	if _, err := os.Stat(path); err != nil {
		return nil, "", fault.WithHint(fault.New(fault.NotFound, "no NATS context %q (%s)", name, path), "start `midplane up`, or pass --context")
	}
	nctx, err := natscontext.New(name, true, over...)
	if err != nil {
		return nil, "", fault.WithHint(fault.Wrap(fault.Invalid, err, "NATS context %s", path), "repair or remove the file, or pass --context")
	}
	user, ok := strings.CutPrefix(nctx.InboxPrefix(), subject.InboxPrefix(""))
	if !ok || event.CheckName("user", user) != nil {
		return nil, "", fault.WithHint(fault.New(fault.Invalid, "NATS context %q has inbox_prefix %q, not %s", name, nctx.InboxPrefix(), subject.InboxPrefix("<user>")),
			"a user of Midplane may listen below its own inbox prefix only; use a context that Midplane wrote")
	}
	return nctx, user, nil
}

// EnvironmentTimeout reads NATS_TIMEOUT of the nats CLI, 0 when it is not set.
func EnvironmentTimeout() (time.Duration, error) {
	text := os.Getenv("NATS_TIMEOUT")
	if text == "" {
		return 0, nil
	}
	d, err := time.ParseDuration(text)
	if err != nil || d <= 0 {
		return 0, fault.WithHint(fault.New(fault.Invalid, "environment variable NATS_TIMEOUT %q is not a positive duration", text), "give it like 5s, or unset it")
	}
	return d, nil
}
