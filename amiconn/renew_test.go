package amiconn

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/amisim"
	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/setting"
)

// secretIn makes the Link read its secret from a file that holds text, and
// returns what changes it.
func secretIn(t *testing.T, c *Config, text string) (change func(text string)) {
	t.Helper()
	c.Secret, c.SecretFile = "", filepath.Join(t.TempDir(), "secret")
	change = func(text string) {
		if err := os.WriteFile(c.SecretFile, []byte(text), 0o600); err != nil {
			t.Error(err)
		}
	}
	change(text)
	return change
}

// The file is read with each login, and what it has is told before it is used.
func TestRenew_TheSecretsFileIsReadWithEachLogin(t *testing.T) {
	var write func(string)
	var mu sync.Mutex
	var learned []setting.Secret
	users := map[string]string{"bridge": "first-one"}
	inBubble(t, amisim.Config{Users: users}, func(c *Config, d *Deps) {
		write = secretIn(t, c, "first-one\r\n")
		d.Learn = func(s setting.Secret) { mu.Lock(); defer mu.Unlock(); learned = append(learned, s) }
	}, func(b *bench) {
		b.up()
		write("\xef\xbb\xbf" + testSecret + " \n")
		synctest.Wait()
		users["bridge"] = testSecret // nobody logs in now
		b.sim.Kick()
		time.Sleep(time.Second)
		b.up()
		if _, refused := b.last(RoleEvents, StateWaiting); refused != 1 {
			t.Errorf("the event session waited %d times, want once", refused)
		}
		mu.Lock()
		defer mu.Unlock()
		if !slices.Contains(learned, "first-one") || !slices.Contains(learned, testSecret) {
			t.Errorf("%d secrets were told", len(learned))
		}
	})
}

// What cannot be read is no login: nobody is asked, and the variable is named.
func TestRenew_AFileThatIsNotToBeHad(t *testing.T) {
	inBubble(t, amisim.Config{}, func(c *Config, _ *Deps) {
		c.Secret, c.SecretFile = "", "/nowhere/"+testSecret
		c.Variables = map[string]string{"SECRET_FILE": "BRIDGE_AMI_SECRET_FILE"}
	}, func(b *bench) {
		b.start()
		time.Sleep(time.Second)
		synctest.Wait()
		c, _ := b.last(RoleEvents, StateWaiting)
		if c.Reason != ReasonSecret || !strings.Contains(c.Err.Error(), "BRIDGE_AMI_SECRET_FILE: its file cannot be read: no such file") {
			t.Errorf("reason %s: %v", c.Reason, c.Err)
		}
		if n := b.sim.Received("Login") + b.sim.Received("Challenge"); n > 0 {
			t.Errorf("Asterisk was asked %d times", n)
		}
	})
}

// A refused login waits for a minute or more. Another secret in the file
// ends that within seconds; one that Renew brings, and Retry alone, at once.
func TestRenew_AChangedSecretEndsTheWaitAfterARefusedLogin(t *testing.T) {
	for what, mend := range map[string]struct {
		within time.Duration
		do     func(b *bench, write func(string), users map[string]string)
	}{
		"file": {secretLook + time.Second, func(_ *bench, write func(string), _ map[string]string) { write(testSecret) }},
		"renew": {time.Second, func(b *bench, _ func(string), _ map[string]string) {
			cfg := *b.link.login.Load()
			cfg.Secret, cfg.SecretFile = testSecret, ""
			if !b.link.Renew(cfg) || b.link.Renew(cfg) {
				t.Error("Renew does not tell what differs")
			}
			b.link.Retry()
		}},
		"user": {time.Second, func(b *bench, _ func(string), users map[string]string) {
			users["bridge"] = "wrong-one" // as manager.conf was mended
			b.link.Retry()
		}},
	} {
		t.Run(what, func(t *testing.T) {
			var write func(string)
			users := map[string]string{"bridge": testSecret}
			inBubble(t, amisim.Config{Users: users}, func(c *Config, _ *Deps) { write = secretIn(t, c, "wrong-one") }, func(b *bench) {
				b.start()
				time.Sleep(2 * time.Second)
				synctest.Wait()
				asked := b.sim.Received("Challenge")
				if c, _ := b.last(RoleEvents, StateWaiting); c.Reason != ReasonAuth {
					t.Fatalf("the login was not refused: %s", c.Reason)
				}
				time.Sleep(2 * time.Second)
				synctest.Wait()
				if n := b.sim.Received("Challenge"); n != asked {
					t.Errorf("%d more logins while nothing changed", n-asked)
				}
				mend.do(b, write, users)
				time.Sleep(mend.within)
				synctest.Wait()
				if !b.link.Ready() {
					t.Errorf("not up %v later: %+v", mend.within, b.link.Status())
				}
			})
		})
	}
}

// A file that has the same secret as before ends no wait, however often it is
// looked at.
func TestRenew_TheSameSecretIsNotTriedAgain(t *testing.T) {
	inBubble(t, amisim.Config{}, func(c *Config, _ *Deps) { secretIn(t, c, "wrong-one") }, func(b *bench) {
		b.start()
		time.Sleep(9 * time.Minute)
		if n := b.sim.Received("Challenge"); n != 2 {
			t.Errorf("%d logins in nine minutes, want one and, after a minute, another", n)
		}
	})
}

// Sessions that are up go on as they are, and the next login goes by what is new.
func TestRenew_TouchesNoSession(t *testing.T) {
	users := map[string]string{"bridge": testSecret, "other": "other-secret"}
	inBubble(t, amisim.Config{Users: users}, nil, func(b *bench) {
		b.up()
		cfg := *b.link.login.Load()
		cfg.Username, cfg.Secret, cfg.Addr = "other", "other-secret", "nowhere:1"
		b.link.Renew(cfg)
		b.link.Retry()
		time.Sleep(time.Minute)
		synctest.Wait()
		if lost := b.losses(); len(lost) > 0 {
			t.Errorf("sessions were lost: %q", lost)
		}
		delete(users, "bridge") // nobody logs in now
		b.sim.Kick()
		time.Sleep(2 * time.Second)
		b.up()
	})
}
