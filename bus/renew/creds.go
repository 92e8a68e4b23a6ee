package renew

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"os"
	"strings"
	"time"

	"github.com/nats-io/nkeys"

	"midplane/fault"
	"midplane/internal/atomicfile"
	"midplane/internal/spread"
)

// leeway is what this machine's clock may differ from the nodes'.
const leeway = time.Minute

// Creds is what a .creds file holds, without its key.
type Creds struct {
	JWT     string
	Name    string
	Issued  time.Time
	Expires time.Time // zero: never
}

// Read reads a .creds file. The error never shows its content.
func Read(path string) (Creds, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return Creds{}, fault.Wrap(fault.NotFound, err, "credentials")
	}
	defer clear(data)
	token, err := nkeys.ParseDecoratedJWT(data)
	if err != nil || token == "" {
		return Creds{}, fault.New(fault.Invalid, "%s holds no user JWT", path)
	}
	c, err := parse(token)
	return c, fault.Wrap(fault.Invalid, err, "credentials %s", path)
}

func parse(token string) (Creds, error) {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return Creds{}, fault.New(fault.Invalid, "the user JWT cannot be read")
	}
	body, err := base64.RawURLEncoding.DecodeString(parts[1])
	var claims struct {
		Name    string `json:"name"`
		Issued  int64  `json:"iat"`
		Expires int64  `json:"exp"`
	}
	if err != nil || json.Unmarshal(body, &claims) != nil || claims.Name == "" {
		return Creds{}, fault.New(fault.Invalid, "the user JWT cannot be read")
	}
	c := Creds{JWT: token, Name: claims.Name, Issued: time.Unix(claims.Issued, 0)}
	if claims.Expires > 0 {
		c.Expires = time.Unix(claims.Expires, 0)
	}
	return c, nil
}

// Due returns when the JWT is to be renewed; zero when it never ends. Users that
// were made at the same time do not renew at the same time: each has a place of
// its own on a grid of half a life, and skips one that comes before three tenths
// of the life are over (nodes give no new life in the first quarter). So it is
// renewed before eight tenths are, and from then on at every half.
func (c Creds) Due() time.Time {
	if c.Expires.IsZero() {
		return time.Time{}
	}
	half := c.Expires.Sub(c.Issued) / 2
	return spread.Next(c.Issued.Add(half*6/10), spread.Phase(c.Name, half), half)
}

// Ended is Denied when the JWT's life is over: no node lets it in any more, and
// so it cannot be renewed either.
func (c Creds) Ended(now time.Time) error {
	if c.Expires.IsZero() || now.Before(c.Expires.Add(leeway)) {
		return nil
	}
	return fault.WithHint(fault.New(fault.Denied, "the credentials of %s expired at %s: they were not renewed in time", c.Name, c.Expires.UTC().Format(time.RFC3339)),
		"is this machine's clock right? If it is, an operator must give new ones: for a poller, midplane revoke poller and midplane token create; otherwise midplane user create with the same --out FILE")
}

// signer returns a function that signs with the key in a .creds file. The key
// is read for each signature and wiped: it is nowhere to be logged from.
func signer(path string) func([]byte) ([]byte, error) {
	return func(data []byte) ([]byte, error) {
		file, err := os.ReadFile(path)
		if err != nil {
			return nil, fault.Wrap(fault.NotFound, err, "credentials")
		}
		defer clear(file)
		key, err := nkeys.ParseDecoratedUserNKey(file)
		if err != nil {
			return nil, fault.New(fault.Invalid, "%s holds no user key", path)
		}
		defer key.Wipe()
		sig, err := key.Sign(data)
		return sig, fault.Wrap(fault.Other, err, "sign")
	}
}

// write puts a new JWT in the place of the one in the file, as a whole: at any
// moment the file holds one of them and the key.
func write(path string, next Creds) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return fault.Wrap(fault.NotFound, err, "credentials")
	}
	defer clear(data)
	old, err := nkeys.ParseDecoratedJWT(data)
	if err != nil || old == "" {
		return fault.New(fault.Invalid, "%s holds no user JWT", path)
	}
	now := bytes.Replace(data, []byte(old), []byte(next.JWT), 1)
	defer clear(now)
	return fault.Wrap(fault.Other, atomicfile.Write(path, now), "write credentials")
}
