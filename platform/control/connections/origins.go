package connections

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"

	"midplane/platform/registry"
	"midplane/subject"
)

// Origins finds out where requests to CONTROL came from.
type Origins struct {
	System   *System
	Registry *registry.Registry
	Control  string // public key of the CONTROL account
	Log      *slog.Logger
}

// unknown is the origin of a request when it cannot be found out.
const unknown = "unknown"

// Of returns where a request of user who came from: the address that the servers
// see, never what the client claims of itself. The request does not carry it, so
// every node's server is asked for the connections of CONTROL: only who may
// listen below _INBOX.<who>, and the one that listens where the answer goes is
// the one that asked. When the answer was aimed elsewhere, all connections of
// that user are named.
func (o *Origins) Of(ctx context.Context, who, reply string) string {
	nc, err := o.System.Shared()
	if err != nil {
		o.Log.Debug("cannot ask where a request came from", "error", err)
		return unknown
	}
	var exact string
	var possible []string
	err = askAll(ctx, nc, connzRequest{Account: o.Control, Subs: true, Limit: maxAskers}, o.Registry.LiveNodes(), func(answer connz) bool {
		var others []string
		exact, others = askers(answer, who, reply)
		possible = append(possible, others...)
		return exact == ""
	})
	if err != nil {
		o.Log.Debug("not every node answered where a request came from", "error", err)
	}
	switch {
	case exact != "":
		return exact
	case len(possible) == 0:
		return unknown
	}
	slices.Sort(possible)
	return "one of " + strings.Join(slices.Compact(possible), ", ")
}

// maxAskers is how many connections of CONTROL a server lists.
const maxAskers = 4096

// askers finds who's connections in one server's answer.
func askers(answer connz, who, reply string) (exact string, others []string) {
	own := subject.InboxPrefix(who) + "."
	for _, conn := range answer.Data.Connections {
		if !slices.ContainsFunc(conn.Subs, func(s string) bool { return strings.HasPrefix(s, own) }) {
			continue
		}
		where := "in-process"
		if conn.IP != "" {
			where = fmt.Sprintf("%s:%d", conn.IP, conn.Port)
		}
		where += " via " + answer.Server.Name
		if slices.ContainsFunc(conn.Subs, func(s string) bool { return covers(s, reply) }) {
			return where, nil
		}
		others = append(others, where)
	}
	return "", others
}

// covers reports whether a subscription to an inbox gets what is sent to reply.
func covers(sub, reply string) bool {
	if rest, ok := strings.CutSuffix(sub, "*"); ok {
		return strings.HasPrefix(reply, rest) && !strings.Contains(reply[len(rest):], ".")
	}
	if rest, ok := strings.CutSuffix(sub, ">"); ok {
		return strings.HasPrefix(reply, rest)
	}
	return sub == reply
}
