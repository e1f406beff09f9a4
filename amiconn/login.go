package amiconn

import (
	"context"
	"crypto/md5"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/setting"
	"github.com/ami-nats-bridge/ami-nats-bridge/frames"
)

// login reads the banner and logs in, within LoginTimeout. Frames that came
// before the answer, such as events of a server that is just booting, are
// handled like any other; what is glued behind the answer stays in the reader.
func (s *Session) login(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() { s.conn.Close() })
	defer stop()
	if err := s.conn.SetDeadline(deadline(ctx, s.cfg.LoginTimeout)); err != nil {
		return &SessionError{ReasonLogin, err}
	}
	banner, err := s.frames.ReadBanner()
	if err != nil {
		if odd, ok := errors.AsType[*frames.SyntaxError](err); ok {
			odd.Input = s.quote(odd.Input)
		}
		if timedOut(err) {
			err = fmt.Errorf("connected, but no banner came: Asterisk hangs or is starting, or the server waits for TLS: %w", err)
		}
		return &SessionError{ReasonBanner, err}
	}
	s.oldLists = oldLists(banner)
	s.Version = s.quote(banner.Version)
	headers, err := s.credentials()
	if err != nil {
		return err
	}
	if _, err := s.roundTrip("Login", headers); err != nil {
		return err
	}
	return s.conn.SetDeadline(noDeadline)
}

// noChallenge is for who meets a proxy, or another server, that lets in by Secret
// alone.
func (s *Session) noChallenge() string {
	return "a server without Challenge wants " + s.cfg.Variable("AUTH") + "=plain"
}

// credentials returns the headers of Login. With MD5 it first asks for the
// challenge; the key is the lower-case hex of md5(challenge + secret)
// (manager.c authenticate).
func (s *Session) credentials() ([]frames.Header, error) {
	headers := []frames.Header{header("Username", s.cfg.Username)}
	events := s.cfg.Events
	if s.Role == RoleActions {
		events = NoEvents
	}
	if s.cfg.Auth == AuthPlain {
		return append(headers, header("Secret", string(s.secret)), header("Events", string(events))), nil
	}
	// The username goes along so that an Asterisk with allowmultiplelogin=no
	// can refuse at once.
	challenge, err := s.roundTrip("Challenge", append(headers, header("AuthType", "MD5")))
	switch {
	case inUse(err) || errors.Is(err, errLeaving):
		return nil, err
	case err != nil:
		cause := causeOf(err)
		return nil, &SessionError{cause.Reason, fmt.Errorf("%w (%s)", cause.Err, s.noChallenge())}
	case challenge == "":
		return nil, &SessionError{ReasonAuth, errors.New("the answer to Challenge has no challenge: " + s.noChallenge())}
	}
	sum := md5.Sum([]byte(challenge + string(s.secret)))
	s.key = setting.Secret(hex.EncodeToString(sum[:]))
	return append(headers, header("AuthType", "MD5"), header("Key", string(s.key)), header("Events", string(events))), nil
}

// quote returns what errors and states may show of a peer's text: all of it,
// or nothing if the secret or the key is in it, for a peer that echoes them
// would have us publish them. It has to see the text before it is cut.
func (s *Session) quote(text string) string {
	for _, secret := range []setting.Secret{s.secret, s.key} {
		known := strings.ToLower(strings.TrimSpace(string(secret))) // as a header's value is read
		if known != "" && strings.Contains(strings.ToLower(text), known) {
			return secret.String()
		}
	}
	return text
}

// roundTrip writes an Action and reads until its Response, whose Challenge header it
// returns. It is for the login only, before the goroutines run.
func (s *Session) roundTrip(action string, headers []frames.Header) (string, error) {
	id := s.ids.ActionID(s.Token, s.number.Add(1))
	headers = append([]frames.Header{header("Action", action), header("ActionID", id)}, headers...)
	data, err := frames.AppendAction(nil, headers)
	if err != nil {
		return "", &SessionError{ReasonLogin, err}
	}
	if _, err := frames.WriteChunks(s.conn, data, s.chunk); err != nil {
		return "", &SessionError{ReasonLogin, err}
	}
	for {
		f, err := s.next()
		if err != nil && !errors.Is(err, frames.ErrFrameTooLarge) {
			return "", &SessionError{ReasonLogin, fmt.Errorf("%s: %w", action, err)}
		}
		if !answers(f, action, id) {
			s.guard(f)
			continue
		}
		s.nameless = len(f.Get("ActionID")) == 0
		if string(f.Name()) != "Success" {
			return "", s.refusal(action, string(f.Get("Message")))
		}
		return string(f.Get("Challenge")), nil
	}
}

// refusal is what it means that an Action of the login was answered by an Error.
// An Asterisk that shuts down says so to every Action, before it looks at who
// asks (manager.c process_message): the login was not refused.
func (s *Session) refusal(action, message string) *SessionError {
	err := fmt.Errorf("%s refused: %.80q", action, s.quote(message))
	switch strings.ToLower(strings.TrimSpace(message)) {
	case "asterisk is shutting down":
		return &SessionError{ReasonLogin, fmt.Errorf("%w: %w", err, errLeaving)}
	case "login already in use":
		return &SessionError{ReasonAuth, fmt.Errorf("%w: %w", err, errInUse)}
	}
	return &SessionError{ReasonAuth, err}
}

// answers reports whether f is the Response to the action of that id. While we log
// in nothing else is asked, so that one without ActionID, as some servers and
// proxies send it, is the answer too, unless it cannot be: what Asterisk says to an
// empty line (manager.c process_message), and a Success without the challenge.
func answers(f *frames.Frame, action, id string) bool {
	if f.Kind() != frames.KindResponse {
		return false
	}
	switch answered := f.Get("ActionID"); {
	case len(answered) > 0:
		return string(answered) == id
	case string(f.Name()) == "Success":
		return action != "Challenge" || f.Get("Challenge") != nil
	}
	return string(f.Get("Message")) != "Missing action in request"
}

// oldLists reports whether the server is older than Asterisk 13.2, whose lists
// carry no EventList. AMI 2.6 is Asterisk 13.1.
func oldLists(b frames.Banner) bool {
	major, rest, _ := strings.Cut(b.Version, ".")
	minor, _, _ := strings.Cut(rest, ".")
	x, err := strconv.Atoi(major)
	if err != nil {
		return false
	}
	y, err := strconv.Atoi(minor)
	return x < 2 || x == 2 && err == nil && y <= 6
}

func header(key, value string) frames.Header {
	return frames.Header{Key: []byte(key), Value: []byte(value)}
}
