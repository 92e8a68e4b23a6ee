package http

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"midplane/event"
	"midplane/poller/collect"
)

// serveTLS serves page with a certificate of its own that expires after left.
func serveTLS(t *testing.T, left time.Duration) (*url.URL, time.Time) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	notAfter := time.Now().Add(left).UTC().Truncate(time.Second)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "w1"},
		NotBefore: notAfter.Add(-400 * day), NotAfter: notAfter,
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewUnstartedServer(http.HandlerFunc(page))
	s.TLS = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
	s.Config.ErrorLog = log.New(io.Discard, "", 0) // it logs the handshakes that we break off
	s.StartTLS()
	t.Cleanup(s.Close)
	u, err := url.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	return u, notAfter
}

func TestCertificates(t *testing.T) {
	for name, tt := range map[string]struct {
		left     time.Duration
		warnDays string
		status   string
		says     string
	}{
		"good for long":        {100 * day, "", event.CheckOK, "HTTP 200 OK"},
		"ends within 30 days":  {20*day + time.Hour, "", event.CheckWarning, "HTTP 200 OK; the certificate expires on "},
		"ends within warnDays": {80*day + time.Hour, "90", event.CheckWarning, "HTTP 200 OK; the certificate expires on "},
		"without warnings":     {day, "0", event.CheckOK, "HTTP 200 OK"},
		"is over":              {-2 * day, "", event.CheckCritical, "HTTP 200 OK; the certificate expired on "},
	} {
		t.Run(name, func(t *testing.T) {
			u, notAfter := serveTLS(t, tt.left)
			c, _, timing := say(t, target(map[string]string{"scheme": "https", "port": u.Port(),
				"insecureSkipVerify": "true", "warnDays": tt.warnDays}))
			if c.Status != tt.status || !strings.HasPrefix(c.Message, tt.says) || c.NotAfter == nil || !c.NotAfter.Equal(notAfter) {
				t.Errorf("%+v", c)
			}
			if timing == nil || timing.TLS <= 0 {
				t.Errorf("%+v", timing)
			}
		})
	}
}

// A certificate that no CA vouches for is critical, and its date is known all
// the same.
func TestCertificateNobodyVouchesFor(t *testing.T) {
	u, notAfter := serveTLS(t, 100*day)
	c, up, _ := say(t, target(map[string]string{"url": u.String(), "reachability": "true"}))
	if c.Status != event.CheckCritical || !strings.Contains(c.Message, "unknown authority") ||
		c.NotAfter == nil || !c.NotAfter.Equal(notAfter) {
		t.Errorf("%+v", c)
	}
	if up == nil || up.Status != event.StatusUp {
		t.Errorf("it answered, but is %+v", up)
	}
	u, _ = serveTLS(t, -day)
	if c, _, _ = say(t, target(map[string]string{"url": u.String()})); c.Status != event.CheckCritical || !strings.Contains(c.Message, "expired on") {
		t.Errorf("%+v", c)
	}
}

// A certificate may end at any time of the years 0 to 9999, in any time zone:
// what is made of it can be sent.
func TestEndsThatNoMessageCarries(t *testing.T) {
	west, east := time.FixedZone("west", -12*3600), time.FixedZone("east", 14*3600)
	for name, at := range map[string]time.Time{
		"10000 in UTC": time.Date(9999, 12, 31, 23, 59, 59, 0, west),
		"-1 in UTC":    time.Date(0, 1, 1, 0, 0, 0, 0, east),
		"zero":         {},
	} {
		r := collect.NewResult(collect.Target{Device: "w1", Check: "web", Collector: "http"}, "https://w1/", false)
		w := &watch{leaf: &x509.Certificate{NotAfter: at}}
		judgeCertificate(w.notAfter(), time.Now(), 30, r)
		want := event.CheckOK
		if at.Year() < 2000 {
			want = event.CheckCritical
		}
		if _, err := json.Marshal(r.Check); err != nil || r.Check.Status != want || w.notAfter().IsZero() {
			t.Errorf("%s: %v %+v", name, err, r.Check)
		}
	}
}
