package node

import (
	"context"
	"errors"
	"net"
	"strings"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"midplane/telemetry"
)

// Merge asks the peers, as a client of SYS, for the account JWTs they have. A
// node that was down when a user was revoked would otherwise let that user in
// until its resolver's next sync.
type Merge struct {
	Servers []string      // client URLs of the peers
	Options []nats.Option // credentials of SYS, TLS
	Wait    time.Duration // 0: 3 seconds
}

const packRequest = "$SYS.REQ.CLAIMS.PACK"

func (m *Merge) run(ctx context.Context, into *server.DirAccResolver, tel telemetry.Telemetry) {
	wait := m.Wait
	if wait == 0 {
		wait = 3 * time.Second
	}
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	for ctx.Err() == nil {
		starting := 0
		for _, peer := range m.Servers {
			err := m.ask(ctx, peer, into, tel)
			if err == nil {
				tel.Log.Info("merged the accounts of a peer", "peer", peer)
				return
			}
			tel.Log.Debug("no accounts from a peer", "peer", peer, "error", err)
			if !mayAnswer(peer, err) {
				starting++
			}
		}
		if starting == len(m.Servers) {
			break // all are
		}
		select {
		case <-ctx.Done():
		case <-time.After(200 * time.Millisecond):
		}
	}
	tel.Log.Info("no peer answered; the door stays shut until the registry does")
}

// mayAnswer reports whether a peer that gave no answer may give one yet. One
// that refuses connections outright, or that lets no client in because it is
// starting as well, has no newer accounts now. A peer that cannot be reached at
// all may hold some, so that is waited out.
func mayAnswer(peer string, err error) bool {
	if refusedByGate(err) {
		return false
	}
	host := peer
	if i := lastSlash(peer); i >= 0 {
		host = peer[i+1:]
	}
	c, err := net.DialTimeout("tcp", host, 300*time.Millisecond)
	if err == nil {
		_ = c.Close()
		return true
	}
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout()
}

func lastSlash(s string) int {
	for i := len(s) - 1; i >= 0; i-- {
		if s[i] == '/' {
			return i
		}
	}
	return -1
}

func (m *Merge) ask(ctx context.Context, peer string, into *server.DirAccResolver, tel telemetry.Telemetry) error {
	opts := append([]nats.Option{nats.NoReconnect(), nats.Timeout(time.Second)}, m.Options...)
	nc, err := nats.Connect(peer, opts...)
	if err != nil {
		return err
	}
	defer nc.Close()
	inbox := nc.NewRespInbox()
	sub, err := nc.SubscribeSync(inbox)
	if err != nil {
		return err
	}
	hash := into.Hash()
	if err := nc.PublishRequest(packRequest, inbox, hash[:]); err != nil {
		return err
	}
	for {
		msg, err := sub.NextMsgWithContext(ctx)
		if err != nil {
			return err
		}
		if msg.Header.Get("Status") == "503" {
			return nats.ErrNoResponders
		}
		if len(msg.Data) == 0 { // the end
			return nil
		}
		if err := into.Merge(usable(string(msg.Data), tel)); err != nil {
			return err
		}
	}
}

// usable leaves of a peer's answer what are accounts' JWTs. The resolver does not
// check the first JWT of an account that it gets, and gives the whole answer up
// at a later one that it cannot read.
func usable(pack string, tel telemetry.Telemetry) string {
	var out []string
	for line := range strings.SplitSeq(pack, "\n") {
		key, token, _ := strings.Cut(line, "|")
		if line == "" {
			continue
		}
		if _, err := check(key, token); err != nil {
			tel.Log.Warn("a peer's JWT of an account is damaged; it is left out", "account", key, "error", err)
			continue
		}
		out = append(out, line)
	}
	return strings.Join(out, "\n")
}
