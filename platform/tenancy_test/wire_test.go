package tenancy_test

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"midplane/tenants/account"
)

// wire is a client that speaks the protocol itself: it says things that no
// library would.
type wire struct {
	t     testing.TB
	addr  string
	creds account.Creds
	conn  net.Conn
	r     *bufio.Reader
	errs  []string // the server's -ERR since the last sync
	got   []arrived
	next  int // of the inbox

	asked []string        // inboxes whose answers count
	late  map[string]bool // inboxes of what was asked before: answers are dropped

	corner string                   // of the inbox that it listens to; "" is all of it
	deaf   bool                     // it may not listen to an inbox
	open   func() (net.Conn, error) // nil: TCP
}

// arrived is one message that came.
type arrived struct {
	subject, reply string
	header, data   string
}

const wireTimeout = 60 * time.Second

func readCreds(t testing.TB, path string) account.Creds {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	c, err := account.ReadCreds(data)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// dial connects with a .creds file and subscribes to the user's own inbox.
func dial(t testing.TB, server, path string) *wire {
	t.Helper()
	return dialCorner(t, server, path, "")
}

// dialCorner listens to a part of the user's inbox, where a stock client of
// the same user is connected.
func dialCorner(t testing.TB, server, path, corner string) *wire {
	t.Helper()
	c := &wire{t: t, addr: strings.TrimPrefix(server, "nats://"), creds: readCreds(t, path), corner: corner}
	if err := c.connect(); err != nil {
		t.Fatalf("%s: %v", c.creds.Name, err)
	}
	return c
}

func (c *wire) connect() error {
	open := c.open
	if open == nil {
		open = func() (net.Conn, error) { return net.DialTimeout("tcp", c.addr, wireTimeout) }
	}
	conn, err := open()
	if err != nil {
		return err
	}
	c.conn, c.r, c.errs, c.got = conn, bufio.NewReader(conn), nil, nil
	_ = conn.SetDeadline(time.Now().Add(wireTimeout)) // a new connection takes one
	line, err := c.r.ReadString('\n')
	if err != nil {
		return err
	}
	var info struct {
		Nonce string `json:"nonce"`
	}
	if err := json.Unmarshal([]byte(strings.TrimPrefix(line, "INFO ")), &info); err != nil {
		return fmt.Errorf("%q: %w", line, err)
	}
	sign, err := account.SignWith(c.creds.Seed)
	if err != nil {
		return err
	}
	sig, err := sign([]byte(info.Nonce))
	if err != nil {
		return err
	}
	hello, err := json.Marshal(map[string]any{"verbose": false, "pedantic": false, "headers": true, "no_responders": true, "protocol": 1, "echo": true,
		"lang": "test", "version": "1", "name": "wire", "jwt": c.creds.JWT, "sig": base64.RawURLEncoding.EncodeToString(sig)})
	if err != nil {
		return err
	}
	c.write("CONNECT " + string(hello) + "\r\n")
	if !c.deaf {
		c.write("SUB _INBOX." + c.creds.Name + c.corner + ".> 1\r\n")
	}
	c.sync()
	if c.conn == nil || len(c.errs) > 0 {
		return fmt.Errorf("refused: %v", c.errs)
	}
	return nil
}

func (c *wire) close() {
	if c.conn != nil {
		_ = c.conn.Close() // nothing is left to say
	}
	c.conn = nil
}

func (c *wire) write(s string) {
	if c.conn == nil {
		if err := c.connect(); err != nil {
			c.t.Fatalf("%s cannot connect again: %v", c.creds.Name, err)
		}
	}
	_ = c.conn.SetDeadline(time.Now().Add(wireTimeout))
	if _, err := io.WriteString(c.conn, s); err != nil {
		c.close()
	}
}

// pub publishes, with a raw header block unless it is "".
func (c *wire) pub(subject, reply, header, data string) {
	if reply != "" {
		reply += " "
	}
	if header == "" {
		c.write(fmt.Sprintf("PUB %s %s%d\r\n%s\r\n", subject, reply, len(data), data))
		return
	}
	c.write(fmt.Sprintf("HPUB %s %s%d %d\r\n%s%s\r\n", subject, reply, len(header), len(header)+len(data), header, data))
}

// sync waits until the server has handled everything that was written, and
// has sent what it had for us. A connection that the server closes is nil.
func (c *wire) sync() {
	c.t.Helper()
	if c.conn == nil {
		return
	}
	c.write("PING\r\n")
	for c.conn != nil {
		if c.read() == "PONG" {
			return
		}
	}
}

// await waits for the next message.
func (c *wire) await() arrived {
	c.t.Helper()
	for len(c.got) == 0 && c.conn != nil {
		c.read()
	}
	if len(c.got) == 0 {
		c.t.Fatalf("%s: the connection was closed: %v", c.creds.Name, c.errs)
	}
	m := c.got[0]
	c.got = c.got[1:]
	return m
}

// request publishes and waits for the answer.
func (c *wire) request(subject, header, data string) arrived {
	c.t.Helper()
	c.settle()
	c.pub(subject, c.inbox(), header, data)
	return c.await()
}

// settle begins again: what came is forgotten, and an answer to what was asked
// before, which a slow machine may still bring, counts for nothing any more.
func (c *wire) settle() {
	c.take()
	if c.late == nil {
		c.late = map[string]bool{}
	}
	for _, inbox := range c.asked {
		c.late[inbox] = true
	}
	c.asked = nil
}

// take returns the messages and errors that came since the last time.
func (c *wire) take() (got []arrived, errs []string) {
	got, errs = c.got, c.errs
	c.got, c.errs = nil, nil
	return got, errs
}

func (c *wire) inbox() string {
	c.next++
	inbox := fmt.Sprintf("_INBOX.%s%s.%d", c.creds.Name, c.corner, c.next)
	c.asked = append(c.asked, inbox)
	return inbox
}

// read handles one line of the server's and returns its verb.
func (c *wire) read() string {
	line, err := c.r.ReadString('\n')
	if err != nil {
		c.errs = append(c.errs, "closed: "+err.Error())
		c.close()
		return ""
	}
	verb, args, _ := strings.Cut(strings.TrimRight(line, "\r\n"), " ")
	f := strings.Fields(args)
	switch verb {
	case "-ERR":
		c.errs = append(c.errs, args)
	case "PING":
		c.write("PONG\r\n")
	case "MSG", "HMSG":
		c.message(verb, f)
	}
	return verb
}

func (c *wire) message(verb string, f []string) {
	sizes := 1
	if verb == "HMSG" {
		sizes = 2
	}
	m := arrived{subject: f[0]}
	if len(f) == 3+sizes {
		m.reply = f[2]
	}
	total, _ := strconv.Atoi(f[len(f)-1]) // the server's own
	head := 0
	if sizes == 2 {
		head, _ = strconv.Atoi(f[len(f)-2])
	}
	b := make([]byte, total+2)
	if _, err := io.ReadFull(c.r, b); err != nil {
		c.close()
		return
	}
	if c.late[m.subject] {
		return
	}
	m.header, m.data = string(b[:head]), string(b[head:total])
	c.got = append(c.got, m)
}

// block is a header block, one header a line.
func block(lines ...string) string {
	return "NATS/1.0\r\n" + strings.Join(append(lines, "", ""), "\r\n")
}
