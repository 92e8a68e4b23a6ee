package console

import (
	"errors"
	"io"
	"math"
	"net/http"
	"strconv"
	"time"

	"midplane/api"
	"midplane/console/access"
	"midplane/fault"
)

// SessionInfo is the body of GET /api/v1/session, and of a login.
type SessionInfo struct {
	access.Identity
	CSRF        string    `json:"csrf,omitempty"` // to be sent as X-CSRF-Token with every change
	Session     string    `json:"session,omitempty"`
	Expires     time.Time `json:"expires"` // at the latest
	IdleSeconds int       `json:"idleSeconds,omitempty"`
	Version     string    `json:"version"` // of the program
}

// logins answers the routes that begin and end sessions.
type logins struct {
	gate    *gate
	access  *access.Keeper
	version string // of the program
}

func (l *logins) info(who access.Identity) SessionInfo {
	out := SessionInfo{Identity: who, CSRF: who.CSRF, Session: who.Session, Expires: who.Expires, Version: l.version}
	if who.Session != "" {
		out.IdleSeconds = int(access.Idle.Seconds())
	}
	return out
}

// serveSession answers GET /api/v1/session: who asks.
func (l *logins) serveSession(w http.ResponseWriter, r *http.Request) {
	if _, err := readParams(r.URL, time.Now()); err != nil {
		writeError(w, err)
		return
	}
	writeJSON(w, http.StatusOK, l.info(whoAsks(r.Context())))
}

// readBody decodes the one JSON value of a request, strictly.
func readBody(r *http.Request, into any) error {
	if _, err := readParams(r.URL, time.Now()); err != nil {
		return err
	}
	data, err := io.ReadAll(r.Body)
	var long *http.MaxBytesError
	if errors.As(err, &long) {
		return fault.New(fault.Invalid, "the body has more than %d bytes", maxBody)
	}
	if err != nil {
		return fault.Wrap(fault.Invalid, err, "read the body")
	}
	if err := api.DecodeStrict(data, into); err != nil {
		return fault.New(fault.Invalid, "the body is not what is expected here") // its error could quote a password
	}
	return nil
}

// mayLogin refuses a login whose answer could be read on the way.
func mayLogin(r *http.Request) error {
	host := r.Host
	if only, ok := hostOnly(r.Host); ok {
		host = only
	}
	if overTLS(r) || loopback(plainHost(host)) {
		return nil
	}
	return fault.WithHint(fault.New(fault.Denied, "logins are taken over TLS only, but for loopback"), "give the console a certificate (--http-cert, --http-key), or a proxy with TLS that sets X-Forwarded-Proto")
}

// serveLogin answers POST /api/v1/session: name and password for a session.
func (l *logins) serveLogin(w http.ResponseWriter, r *http.Request) {
	var req access.Credentials
	err := mayLogin(r)
	if err == nil {
		err = readBody(r, &req)
	}
	if err != nil {
		writeError(w, err)
		return
	}
	secret, who, err := l.access.Login(r.Context(), req, l.try(r))
	act := Act{Kind: access.KindUser, Verb: "console.session.login"}
	if l.access.Known(req.User) { // a name without a user may be a password in the wrong field
		act.Who = req.User
	}
	l.begun(w, r, act, secret, who, err)
}

// serveLink answers POST /api/v1/session/link: a one-time code for a session.
func (l *logins) serveLink(w http.ResponseWriter, r *http.Request) {
	var req struct {
		Code string `json:"code"`
	}
	err := mayLogin(r)
	if err == nil {
		err = readBody(r, &req)
	}
	if err != nil {
		writeError(w, err)
		return
	}
	secret, who, err := l.access.Redeem(req.Code, l.try(r))
	l.begun(w, r, Act{Kind: access.KindLink, Who: access.KindLink, Verb: "console.session.link"}, secret, who, err)
}

// servePassword answers POST /api/v1/session/password: another password for the
// user of the session, who must give the old one. It begins a new session.
func (l *logins) servePassword(w http.ResponseWriter, r *http.Request) {
	var req struct {
		Old string `json:"old"`
		New string `json:"new"`
	}
	err := mayLogin(r)
	if err == nil {
		err = readBody(r, &req)
	}
	if err != nil {
		writeError(w, err)
		return
	}
	was := whoAsks(r.Context())
	secret, who, err := l.access.ChangePassword(r.Context(), was, req.Old, req.New, l.try(r))
	if fault.Is(err, fault.Denied) { // the session is good: only the old password was wrong
		l.gate.record(r, Act{Verb: "console.user.password", Result: actRefused}.by(was))
		writeError(w, err)
		return
	}
	l.begun(w, r, Act{Verb: "console.user.password"}.by(was), secret, who, err)
}

func (l *logins) try(r *http.Request) access.Try {
	return access.Try{From: l.gate.from(r), Agent: r.UserAgent(), Old: oldSession(r)}
}

// begun answers a login, good or not.
func (l *logins) begun(w http.ResponseWriter, r *http.Request, act Act, secret string, who access.Identity, err error) {
	act.Result = actOK
	if err == nil {
		act = act.by(who)
	}
	var wait access.Wait
	switch {
	case errors.As(err, &wait):
		act.Result = "throttled"
	case fault.Is(err, fault.Denied):
		act.Result = actRefused
	case err != nil:
		act.Result = "failed"
	}
	l.gate.record(r, act)
	if err != nil {
		refuse(w, err)
		return
	}
	setCookie(w, r, secret)
	writeJSON(w, http.StatusOK, l.info(who))
}

// retryAfter is what an error says of when to ask again.
func retryAfter(err error) string {
	var wait access.Wait
	if errors.As(err, &wait) {
		return strconv.Itoa(int(math.Ceil(wait.For.Seconds())))
	}
	return "2"
}

type done struct {
	OK bool `json:"ok"`
}

// serveLogout answers DELETE /api/v1/session.
func (l *logins) serveLogout(w http.ResponseWriter, r *http.Request) {
	who := whoAsks(r.Context())
	if who.Session == "" {
		writeError(w, fault.WithHint(fault.New(fault.Invalid, "a token has no session"), "midplane console token revoke ends it"))
		return
	}
	l.access.Logout(oldSession(r))
	l.gate.record(r, Act{Verb: "console.session.logout", Result: actOK}.by(who))
	setCookie(w, r, "")
	w.Header().Set("Clear-Site-Data", `"cache", "storage"`)
	writeJSON(w, http.StatusOK, done{true})
}

// serveSessions answers GET /api/v1/sessions: an admin gets all, everybody
// else their own.
func (l *logins) serveSessions(w http.ResponseWriter, r *http.Request) {
	if _, err := readParams(r.URL, time.Now()); err != nil {
		writeError(w, err)
		return
	}
	writeJSON(w, http.StatusOK, l.access.Sessions(whoAsks(r.Context())))
}

// serveEndSession answers DELETE /api/v1/sessions/{id}. What one may not end
// does not exist.
func (l *logins) serveEndSession(w http.ResponseWriter, r *http.Request) {
	who := whoAsks(r.Context())
	ended, err := l.access.End(who, r.PathValue("id"))
	act := Act{Verb: "console.session.end", Result: actOK, Target: ended.Name}.by(who)
	if err != nil {
		act.Result, act.Target = actRefused, ""
	}
	l.gate.record(r, act)
	if err != nil {
		writeError(w, err)
		return
	}
	writeJSON(w, http.StatusOK, done{true})
}
