package phone

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// again is how soon what was not answered is sent again (RFC 3261, T1).
const again = 500 * time.Millisecond

// Phone is a telephone. Close it after use.
type Phone struct {
	conn         *net.UDPConn
	media        *net.UDPConn // that nobody reads
	server       *net.UDPAddr
	user, secret string
	tag, id      string // of its dialogs, and of its registrations
	contact      string
	number       int          // of its last request
	version      atomic.Int64 // of its last SDP

	reading   sync.WaitGroup
	responses chan message  // for who waits for one; what is too many was waited for by nobody
	up, over  chan struct{} // of capacity 1: the call was taken, and has ended

	mu     sync.Mutex // protects the following
	call   message    // the INVITE of the call
	answer message    // to the last INVITE
}

// Listen returns a phone at address, such as 127.0.0.1:0, of a user of the Asterisk whose SIP is at server.
func Listen(address, server, user, secret string) (*Phone, error) {
	at, err := net.ResolveUDPAddr("udp", server)
	if err != nil {
		return nil, err
	}
	own, err := net.ResolveUDPAddr("udp", address)
	if err != nil {
		return nil, err
	}
	p := &Phone{
		server: at, user: user, secret: secret, tag: rand.Text(), id: rand.Text(),
		responses: make(chan message, 16), up: make(chan struct{}, 1), over: make(chan struct{}, 1),
	}
	if p.conn, err = net.ListenUDP("udp", own); err != nil {
		return nil, err
	}
	if p.media, err = net.ListenUDP("udp", &net.UDPAddr{IP: own.IP}); err != nil {
		return nil, errors.Join(err, p.conn.Close())
	}
	p.contact = "sip:" + user + "@" + p.conn.LocalAddr().String()
	p.reading.Go(p.read)
	return p, nil
}

// Close ends the phone, and nothing of what it has at Asterisk.
func (p *Phone) Close() error {
	err := errors.Join(p.conn.Close(), p.media.Close())
	p.reading.Wait()
	return err
}

// URI is where Asterisk finds the phone.
func (p *Phone) URI() string { return p.contact }

// Register registers the phone, or does so again.
func (p *Phone) Register(ctx context.Context) error { return p.register(ctx, "3600") }

// Unregister takes the registration back.
func (p *Phone) Unregister(ctx context.Context) error { return p.register(ctx, "0") }

func (p *Phone) register(ctx context.Context, expires string) error {
	address := "<sip:" + p.user + "@" + p.server.IP.String() + ">"
	_, err := p.ask(ctx, "REGISTER", "sip:"+p.server.String(), []header{
		{"From", address + ";tag=" + p.tag}, {"To", address}, {"Call-ID", p.id}, {"Expires", expires},
	}, "")
	return err
}

// Answered waits until a call was answered, and Asterisk knows it.
func (p *Phone) Answered(ctx context.Context) error { return wait(ctx, "no call was answered", p.up) }

// Ended waits until the other end has hung up.
func (p *Phone) Ended(ctx context.Context) error { return wait(ctx, "nobody hung up", p.over) }

func wait(ctx context.Context, what string, on chan struct{}) error {
	select {
	case <-on:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("%s: %w", what, ctx.Err())
	}
}

// Hold puts the call on hold, and Unhold takes it off.
func (p *Phone) Hold(ctx context.Context) error { return p.within(ctx, "INVITE", p.sdp("sendonly")) }

// Unhold takes the call off hold.
func (p *Phone) Unhold(ctx context.Context) error { return p.within(ctx, "INVITE", p.sdp("sendrecv")) }

// Hangup ends the call.
func (p *Phone) Hangup(ctx context.Context) error { return p.within(ctx, "BYE", "") }

// within asks for something about the call.
func (p *Phone) within(ctx context.Context, method, body string) error {
	p.mu.Lock()
	call := p.call
	p.mu.Unlock()
	if call.line == "" {
		return errors.New("the phone has no call")
	}
	dialog := []header{{"From", call.get("To") + ";tag=" + p.tag}, {"To", call.get("From")}, {"Call-ID", call.get("Call-ID")}}
	target := uri(call.get("Contact"))
	r, err := p.ask(ctx, method, target, dialog, body)
	if err == nil && method == "INVITE" {
		number, _, _ := strings.Cut(r.get("CSeq"), " ")
		return p.send(p.request("ACK", target, dialog, number, ""))
	}
	return err
}

// sdp is what the phone says of its sound: a is sendrecv, or sendonly while the call is on hold.
func (p *Phone) sdp(a string) string {
	at := p.media.LocalAddr().(*net.UDPAddr)
	return strings.Join([]string{
		"v=0", fmt.Sprintf("o=- 1 %d IN IP4 %s", p.version.Add(1), at.IP), "s=-", "c=IN IP4 " + at.IP.String(), "t=0 0",
		fmt.Sprintf("m=audio %d RTP/AVP 0", at.Port), "a=rtpmap:0 PCMU/8000", "a=" + a, "",
	}, "\r\n")
}

// ask sends a request until its final response comes, and again with the digest that one asks for. Another
// status than 200 is an error.
func (p *Phone) ask(ctx context.Context, method, uri string, headers []header, body string) (message, error) {
	r, err := p.exchange(ctx, method, uri, headers, body)
	if challenge := r.get("WWW-Authenticate"); err == nil && r.status() == 401 {
		own := header{"Authorization", digest(challenge, method, uri, p.user, p.secret)}
		r, err = p.exchange(ctx, method, uri, append(headers, own), body)
	}
	if err == nil && r.status() != 200 {
		err = errors.New(r.line)
	}
	if err != nil {
		return r, fmt.Errorf("%s %s: %w", method, uri, err)
	}
	return r, nil
}

func (p *Phone) exchange(ctx context.Context, method, uri string, headers []header, body string) (message, error) {
	p.number++
	request := p.request(method, uri, headers, fmt.Sprint(p.number), body)
	ticker := time.NewTicker(again)
	defer ticker.Stop()
	for {
		if err := p.send(request); err != nil {
			return message{}, err
		}
		for sent := true; sent; {
			select {
			case r := <-p.responses:
				if r.answers(request) {
					return r, nil
				}
			case <-ticker.C:
				sent = false
			case <-ctx.Done():
				return message{}, ctx.Err()
			}
		}
	}
}

func (p *Phone) request(method, uri string, headers []header, number, body string) message {
	return message{line: method + " " + uri + " SIP/2.0", body: body, headers: append([]header{
		{"Via", "SIP/2.0/UDP " + p.conn.LocalAddr().String() + ";branch=z9hG4bK" + rand.Text()},
		{"Max-Forwards", "70"}, {"Contact", "<" + p.contact + ">"}, {"CSeq", number + " " + method},
	}, headers...)}
}

func (p *Phone) send(m message) error {
	_, err := p.conn.WriteToUDP([]byte(m.String()), p.server)
	return err
}

// read answers requests, until the phone is closed.
func (p *Phone) read() {
	buf := make([]byte, 1<<16)
	for {
		n, from, err := p.conn.ReadFromUDP(buf)
		if err != nil {
			return
		}
		m := parse(string(buf[:n]))
		switch m.method() {
		case "":
			select {
			case p.responses <- m:
			default:
			}
		case "ACK":
			p.mu.Lock()
			if number, _, _ := strings.Cut(m.get("CSeq"), " "); p.call.get("CSeq") == number+" INVITE" {
				raise(p.up)
			}
			p.mu.Unlock()
		default:
			_, _ = p.conn.WriteToUDP([]byte(p.respond(m).String()), from)
		}
	}
}

// respond takes every request. A call is answered at once; an INVITE that comes again is answered as it was.
func (p *Phone) respond(m message) message {
	p.mu.Lock()
	defer p.mu.Unlock()
	own := []header{{"Contact", "<" + p.contact + ">"}}
	switch m.method() {
	case "INVITE":
		if p.answer.answers(m) {
			return p.answer
		}
		if !strings.Contains(m.get("To"), ";tag=") {
			p.call = m
		}
		p.answer = m.response(p.tag, own, p.sdp("sendrecv"))
		return p.answer
	case "BYE":
		p.call = message{}
		raise(p.over)
	case "REGISTER":
		if own = nil; m.get("Expires") != "0" {
			own = []header{{"Contact", m.get("Contact") + ";expires=3600"}}
		}
	}
	return m.response(p.tag, own, "")
}

// raise sets a signal that waits for whoever looks.
func raise(signal chan struct{}) {
	select {
	case signal <- struct{}{}:
	default:
	}
}
