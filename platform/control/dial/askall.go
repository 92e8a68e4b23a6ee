package dial

import (
	"context"
	"slices"

	"github.com/nats-io/nats.go"

	"midplane/platform/registry"
)

// AskAll sends a request that every node answers, and gives each answer to take,
// which returns whose it is ("" for one that does not count) and whether to go on.
// It returns when take is done or all nodes of live have answered. When ctx ends
// before that, missing are those that have not.
func AskAll(ctx context.Context, nc *nats.Conn, subj string, body []byte, live []registry.Presence, take func(*nats.Msg) (node string, more bool, err error)) (missing []string, err error) {
	for _, n := range live {
		missing = append(missing, n.Name)
	}
	inbox := nc.NewRespInbox()
	sub, err := nc.SubscribeSync(inbox)
	if err != nil {
		return missing, err
	}
	defer func() { _ = sub.Unsubscribe() }() // the connection may be closing
	if err := nc.PublishRequest(subj, inbox, body); err != nil {
		return missing, err
	}
	for len(missing) > 0 {
		msg, err := sub.NextMsgWithContext(ctx)
		if err != nil {
			return missing, nil
		}
		node, more, err := take(msg)
		if err != nil || !more {
			return nil, err
		}
		missing = slices.DeleteFunc(missing, func(name string) bool { return name == node })
	}
	return nil, nil
}
