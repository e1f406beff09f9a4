package realasterisk

import (
	"bufio"
	"context"
	"crypto/md5"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"
)

// Auth is the way to log in.
type Auth uint8

// The two ways that manager.c knows.
const (
	Plain Auth = iota
	MD5
)

// User is an AMI account.
type User struct{ Name, Secret string }

// Client is one AMI session that does one thing at a time and interprets nothing. Close it after use.
type Client struct {
	conn   net.Conn
	r      *bufio.Reader
	prefix string // of its ActionIDs, different from every other session's
	lastID int
	events bool // logged in with events

	Banner string // first line, without its CRLF
}

// Dial connects and reads the banner.
func Dial(ctx context.Context, addr string) (*Client, error) {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	_, port, _ := net.SplitHostPort(conn.LocalAddr().String())
	c := &Client{conn: conn, r: bufio.NewReaderSize(conn, 1<<16), prefix: "raw-" + port + "-"}
	defer c.deadline(ctx)()
	line, err := c.r.ReadString('\n')
	if err != nil {
		conn.Close()
		return nil, fmt.Errorf("banner of %s: %w", addr, err)
	}
	c.Banner = strings.TrimRight(line, "\r\n")
	return c, nil
}

// Close closes the connection without a Logoff.
func (c *Client) Close() error { return c.conn.Close() }

// Login logs in. Events is the Events header: on, off, or classes such as "system,call".
func (c *Client) Login(ctx context.Context, u User, auth Auth, events string) error {
	lines := []string{"Action: Login", "Username: " + u.Name, "Events: " + events}
	switch auth {
	case Plain:
		lines = append(lines, "Secret: "+u.Secret)
	case MD5:
		challenge, err := c.ask(ctx, "Action: Challenge", "AuthType: MD5")
		if err != nil {
			return fmt.Errorf("challenge: %w", err)
		}
		sum := md5.Sum([]byte(challenge.Get("Challenge") + u.Secret))
		lines = append(lines, "AuthType: MD5", "Key: "+hex.EncodeToString(sum[:]))
	}
	if _, err := c.ask(ctx, lines...); err != nil {
		return fmt.Errorf("login as %s: %w", u.Name, err)
	}
	c.events = events != "off"
	return nil
}

// ask is for the actions before a login is complete, whose response is the next frame.
func (c *Client) ask(ctx context.Context, lines ...string) (Frame, error) {
	if _, err := c.Send(lines...); err != nil {
		return nil, err
	}
	f, err := c.Next(ctx)
	if err != nil {
		return nil, err
	}
	if f.Get("Response") != "Success" {
		return nil, fmt.Errorf("refused: %q", f.Get("Message"))
	}
	return f, nil
}

// Send writes one action, given as "Key: value" lines without ActionID, and returns the ActionID it added.
func (c *Client) Send(lines ...string) (string, error) {
	c.lastID++
	id := c.prefix + strconv.Itoa(c.lastID)
	action := strings.Join(lines, "\r\n") + "\r\nActionID: " + id + "\r\n\r\n"
	_, err := c.conn.Write([]byte(action))
	return id, err
}

// Do sends one action and returns every frame of its reply, in order. A session answers strictly in turn
// (manager.c, one thread a session), so the reply is all that comes before the answer to a Ping sent
// behind it: no knowledge of list actions is needed. The session must have been logged in with events off.
func (c *Client) Do(ctx context.Context, lines ...string) ([]Frame, error) {
	if c.events {
		return nil, errors.New("actions need a session with events off")
	}
	id, err := c.Send(lines...)
	if err != nil {
		return nil, err
	}
	ping, err := c.Send("Action: Ping")
	if err != nil {
		return nil, err
	}
	var reply []Frame
	for {
		f, err := c.Next(ctx)
		if err != nil {
			return reply, fmt.Errorf("reply %s to %.80q: %w", id, lines[0], err)
		}
		if f.Get("ActionID") == ping {
			return reply, nil
		}
		reply = append(reply, f)
	}
}

// Next returns the next frame: the stream of events on a session logged in with events on. The frame is
// the caller's to keep.
func (c *Client) Next(ctx context.Context) (Frame, error) {
	defer c.deadline(ctx)()
	f, err := readFrame(c.r)
	if err != nil && ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	return f, err
}

// Until collects frames up to and including the first for which last is true.
func (c *Client) Until(ctx context.Context, last func(Frame) bool) ([]Frame, error) {
	var all []Frame
	for {
		f, err := c.Next(ctx)
		if err != nil {
			return all, fmt.Errorf("after %d frames: %w", len(all), err)
		}
		all = append(all, f)
		if last(f) {
			return all, nil
		}
	}
}

// deadline makes reads end with ctx, until the returned function is called.
func (c *Client) deadline(ctx context.Context) (stop func() bool) {
	return context.AfterFunc(ctx, func() { c.conn.SetReadDeadline(time.Unix(1, 0)) })
}
