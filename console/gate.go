package console

import (
	"context"
	"crypto/subtle"
	"errors"
	"log/slog"
	"mime"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"midplane/console/access"
	"midplane/fault"
)

// Headers of our own. csrfHeader carries the session's token with every
// change; idleHeader says that a page asks by itself, without a person.
const (
	csrfHeader = "X-CSRF-Token"
	idleHeader = "Midplane-Idle"
)

// maxBody is the largest body that is read, maxWait how long it may take.
const (
	maxBody = 4 << 10
	maxWait = 10 * time.Second
)

// gate finds out who asks, refuses what they may not ask, and records logins
// and refusals. It knows nothing of what the routes answer.
type gate struct {
	access *access.Keeper
	audit  func(Act) // may be nil
	log    *slog.Logger
	open   bool // a proxy is in front (Config.Open)
}

type identityKey struct{}

// whoAsks returns the identity that enter has established.
func whoAsks(ctx context.Context) access.Identity {
	who, _ := ctx.Value(identityKey{}).(access.Identity)
	return who
}

// enter answers a route if the request has the identity that the route needs.
func (g *gate) enter(w http.ResponseWriter, r *http.Request, rt route) {
	changes := rt.method != http.MethodGet
	if changes {
		if err := g.checkChange(w, r); err != nil {
			g.denied(r, access.Identity{}, err)
			writeError(w, err)
			return
		}
	}
	if rt.need == anyone {
		rt.serve(w, r)
		return
	}
	who, err := g.identify(r, !rt.passive)
	if err != nil {
		refuse(w, err)
		return
	}
	if changes && who.Session != "" && subtle.ConstantTimeCompare([]byte(r.Header.Get(csrfHeader)), []byte(who.CSRF)) != 1 {
		err = fault.WithHint(fault.New(fault.Denied, "the request does not carry its session's token"), "send %s as GET /api/v1/session says it", csrfHeader)
	} else if !rt.need.grants(who) {
		err = fault.WithHint(fault.New(fault.Denied, "a %s may not do this", describe(who)), "ask an admin of this console")
	}
	if err != nil {
		g.denied(r, who, err)
		writeError(w, err)
		return
	}
	rt.serve(w, r.WithContext(context.WithValue(r.Context(), identityKey{}, who)))
}

func describe(who access.Identity) string {
	if who.Tenant != "" {
		return string(who.Role) + " of tenant " + who.Tenant
	}
	return string(who.Role)
}

// identify says who asks: by a token in the header, else by a session's
// cookie. A token that is wrong does not fall back to the cookie.
func (g *gate) identify(r *http.Request, used bool) (access.Identity, error) {
	if header := r.Header.Get("Authorization"); header != "" {
		scheme, text, _ := strings.Cut(header, " ")
		if !strings.EqualFold(scheme, "Bearer") {
			return access.Identity{}, fault.WithHint(fault.New(fault.Denied, "this kind of authorization is not known"), `send "Authorization: Bearer TOKEN"`)
		}
		who, ok, err := g.access.Token(strings.TrimSpace(text))
		if err == nil && !ok {
			if g.access.Notable(g.from(r)) {
				g.record(r, Act{Kind: access.KindToken, Verb: "console.token.use", Result: actRefused})
			}
			err = fault.WithHint(fault.New(fault.Denied, "the token is not valid, or not any more"), "midplane console token create makes one")
		}
		return who, err
	}
	if cookie, err := r.Cookie(cookieName(r)); err == nil {
		who, ok, err := g.access.Session(cookie.Value, used && r.Header.Get(idleHeader) == "")
		if ok || err != nil {
			return who, err
		}
	}
	return access.Identity{}, fault.WithHint(fault.New(fault.Denied, "log in first"),
		"open the page, or send \"Authorization: Bearer TOKEN\" (midplane console token create)")
}

// refuse answers a request without an identity: 401, which differs from "you
// may not".
func refuse(w http.ResponseWriter, err error) {
	if !fault.Is(err, fault.Denied) {
		writeError(w, err)
		return
	}
	w.Header().Set("WWW-Authenticate", `Bearer realm="midplane"`)
	writeStatus(w, http.StatusUnauthorized, err)
}

// checkChange refuses what a page of another site could have sent, and bodies
// that are not ours.
func (g *gate) checkChange(w http.ResponseWriter, r *http.Request) error {
	if err := http.NewResponseController(w).SetReadDeadline(time.Now().Add(maxWait)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return fault.Wrap(fault.Other, err, "read the request")
	}
	switch site := r.Header.Get("Sec-Fetch-Site"); {
	case site == "same-origin":
	case site != "":
		return fault.New(fault.Denied, "another site's page asks for a change")
	default:
		if origin := r.Header.Get("Origin"); origin != "" && origin != originOf(r) {
			return fault.WithHint(fault.New(fault.Denied, "another site's page asks for a change"), "a proxy must pass on Host and X-Forwarded-Proto")
		}
	}
	if r.Method != http.MethodPost {
		if r.ContentLength != 0 {
			return fault.New(fault.Invalid, "method %s takes no body", r.Method)
		}
		return nil
	}
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		return fault.WithHint(fault.New(fault.Invalid, "the body is not JSON"), "send Content-Type: application/json")
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	return nil
}

// overTLS says whether the browser's connection is encrypted: ours, or that of
// a proxy in front. A client that lies about the latter spoils only its own cookie.
func overTLS(r *http.Request) bool {
	return r.TLS != nil || strings.EqualFold(r.Header.Get("X-Forwarded-Proto"), "https")
}

func originOf(r *http.Request) string {
	if overTLS(r) {
		return "https://" + r.Host
	}
	return "http://" + r.Host
}

// from says where a request comes from. A proxy on this machine, or in front
// of an open console, adds the address of its client.
func (g *gate) from(r *http.Request) string {
	peer, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return "unknown"
	}
	chain := strings.Join(r.Header.Values("X-Forwarded-For"), ",")
	if chain == "" || !g.open && !loopback(peer) {
		return peer
	}
	last := strings.TrimSpace(chain[strings.LastIndex(chain, ",")+1:])
	if addr, err := netip.ParseAddr(last); err == nil {
		return addr.String() + " via " + peer
	}
	return peer
}
