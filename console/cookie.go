package console

import (
	"net"
	"net/http"

	"midplane/console/access"
)

// cookieName is where a browser keeps its session. Over TLS the name's prefix
// makes the browser itself insist on Secure, on Path=/ and on no Domain. On
// plain loopback there is no prefix, since not every browser takes a Secure
// cookie there; the port is part of the name, because cookies ignore ports and
// two consoles of one machine would log each other out.
func cookieName(r *http.Request) string {
	if overTLS(r) {
		return "__Host-midplane"
	}
	port := "80"
	if _, p, err := net.SplitHostPort(r.Host); err == nil {
		port = p
	}
	return "midplane-" + port
}

func setCookie(w http.ResponseWriter, r *http.Request, secret string) {
	c := &http.Cookie{
		Name: cookieName(r), Value: secret, Path: "/", Secure: overTLS(r), HttpOnly: true, SameSite: http.SameSiteStrictMode,
		MaxAge: int(access.Absolute.Seconds()),
	}
	if secret == "" {
		c.MaxAge = -1 // gone at once
	}
	http.SetCookie(w, c)
}

// oldSession is the secret that a browser has, good or not.
func oldSession(r *http.Request) string {
	c, err := r.Cookie(cookieName(r))
	if err != nil {
		return ""
	}
	return c.Value
}
