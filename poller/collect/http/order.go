package http

import (
	"errors"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"midplane/poller/collect"
)

// order is what the parameters ask for.
type order struct {
	url      *url.URL
	shown    string // url without credentials and query
	method   string
	expect   statuses
	contains string
	warnDays int
	insecure bool
	owns     bool
}

func read(t collect.Target) (order, error) {
	p := collect.ReadParams(t, "url", "scheme", "port", "path",
		"expectStatus", "contains", "warnDays", "insecureSkipVerify", "method")
	o := order{
		method:   p.String("method", http.MethodGet),
		contains: p.String("contains", ""),
		warnDays: p.Int("warnDays", 30, 0, 3650),
		insecure: p.Bool("insecureSkipVerify", false),
		owns:     p.Reachability(false),
		url:      address(p, t),
	}
	if !slices.Contains([]string{http.MethodGet, http.MethodHead, http.MethodOptions}, o.method) {
		p.Fail("method", "is not one of GET, HEAD, OPTIONS: a check must not change what it looks at")
	}
	var ok bool
	if o.expect, ok = parseStatuses(p.String("expectStatus", "200-399")); !ok {
		p.Fail("expectStatus", "is not a list of statuses and ranges like 200-299,401")
	}
	if err := p.Err(); err != nil {
		return order{}, err
	}
	o.shown = collect.Clip(show(o.url))
	return o, nil
}

// address makes the URL from "url", or from scheme, port and path.
func address(p *collect.Params, t collect.Target) *url.URL {
	if raw := p.String("url", ""); raw != "" {
		for _, other := range []string{"scheme", "port", "path"} {
			if p.String(other, "") != "" {
				p.Fail(other, "goes without url: give one or the other")
			}
		}
		u, err := url.Parse(raw)
		if err != nil || u.Hostname() == "" || u.Scheme != "http" && u.Scheme != "https" {
			p.Fail("url", "is not an http:// or https:// address") // the parser's error repeats it, password and all
			return &url.URL{}
		}
		return u
	}
	scheme := p.String("scheme", "http")
	standard := 80
	switch scheme {
	case "http":
	case "https":
		standard = 443
	default:
		p.Fail("scheme", "is neither http nor https")
	}
	if t.Address == "" {
		p.Fail("url", "is missing, and the device has no address")
	}
	path, err := url.Parse("/" + strings.TrimPrefix(p.String("path", "/"), "/"))
	if err != nil {
		p.Fail("path", "is not a path")
		return &url.URL{}
	}
	host := t.Address
	if port := p.Port("port", standard); port != standard {
		host = net.JoinHostPort(host, strconv.Itoa(port))
	} else if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	return &url.URL{Scheme: scheme, Host: host, Path: path.Path, RawPath: path.RawPath, RawQuery: path.RawQuery}
}

// show is u without what may be secret: credentials, query and fragment.
func show(u *url.URL) string {
	plain := url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path, RawPath: u.RawPath}
	if u.RawQuery != "" {
		return plain.String() + "?…"
	}
	return plain.String()
}

// redact takes every secret of the URL out of a text that came from elsewhere
// (an error, what a server says).
func (o order) redact(text string) string {
	secrets := []string{o.url.RawQuery, o.url.Fragment}
	for _, values := range o.url.Query() {
		secrets = append(secrets, values...)
	}
	if o.url.User != nil {
		password, _ := o.url.User.Password()
		secrets = append(secrets, o.url.User.String(), o.url.User.Username(), password)
	}
	for _, s := range secrets {
		if s != "" {
			text = strings.ReplaceAll(text, s, "…")
			text = strings.ReplaceAll(text, url.QueryEscape(s), "…")
		}
	}
	return text
}

// inner strips the wrappers that repeat the URL.
func inner(err error) error {
	var u *url.Error
	for errors.As(err, &u) {
		err = u.Err
	}
	return err
}

// statuses are ranges of HTTP statuses.
type statuses struct {
	text   string
	ranges [][2]int
}

func (s statuses) has(code int) bool {
	return slices.ContainsFunc(s.ranges, func(r [2]int) bool { return r[0] <= code && code <= r[1] })
}

func parseStatuses(text string) (statuses, bool) {
	s := statuses{text: text}
	for _, part := range strings.Split(text, ",") {
		from, to, isRange := strings.Cut(strings.TrimSpace(part), "-")
		lo, err := strconv.Atoi(from)
		hi := lo
		if isRange && err == nil {
			hi, err = strconv.Atoi(to)
		}
		if err != nil || lo < 100 || hi > 599 || lo > hi {
			return s, false
		}
		s.ranges = append(s.ranges, [2]int{lo, hi})
	}
	return s, true
}
