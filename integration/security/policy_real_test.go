package security

import (
	"context"
	"encoding/json"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/setting"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
	"github.com/ami-nats-bridge/ami-nats-bridge/integration/harness"
	"github.com/ami-nats-bridge/ami-nats-bridge/integration/realasterisk"
)

// attacked is one Asterisk whose calls are attacked.
type attacked struct {
	t      *testing.T
	ctx    context.Context
	a      *realasterisk.Instance
	direct *realasterisk.Client
}

// No attack makes a file or reads a secret, whatever the bridge's user may, and
// each is refused as the corpus says. Granted, those that are said to work do: so
// they are attacks. Ordinary requests reach Asterisk.
func TestReal_PolicyRefusesAttacks(t *testing.T) {
	realasterisk.Each(t, func(t *testing.T, a *realasterisk.Instance) {
		a.NeedsOwn(t)
		ctx, cancel := context.WithTimeout(t.Context(), 5*harness.Patience)
		defer cancel()
		w := &attacked{t: t, ctx: ctx, a: a}
		var err error
		if w.direct, err = a.Actions(ctx); err != nil {
			t.Fatal(err)
		}
		defer w.direct.Close()
		w.victims()
		inside, _ := a.Home()
		attacks, ordinary := harness.ReadAttempts(t, "attacks.jsonl", inside), harness.ReadAttempts(t, "ordinary.jsonl", inside)
		for _, user := range []realasterisk.User{a.User(), a.Dialer()} {
			r := harness.Bridge(t, harness.NATS(t), nil, harness.Server("pbx1", a.Addr(), user.Name, user.Secret))
			w.refused(r, attacks)
			w.passes(r, ordinary)
		}
		r := harness.Bridge(t, harness.NATS(t), func(c *config.Config) { c.ActionsAllow = setting.Globs{"*"} },
			harness.Server("pbx1", a.Addr(), a.User().Name, a.User().Secret))
		w.works(r, attacks)
	})
}

// victims makes the calls and the conference that the corpus speaks of.
func (w *attacked) victims() {
	w.t.Helper()
	for id, exten := range map[string]string{"victim": "stay", "other": "room-victim"} {
		w.do("Action: Originate", "Channel: Local/"+exten+"@load", "Application: Wait", "Data: 600", "ChannelId: "+id, "OtherChannelId: "+id+"2")
	}
	harness.Eventually(w.t, "the conference", func() bool {
		frames := w.do("Action: ConfbridgeList", "Conference: room-victim")
		return slices.ContainsFunc(frames, func(f realasterisk.Frame) bool { return f.Event() == "ConfbridgeList" })
	})
}

func (w *attacked) do(lines ...string) []realasterisk.Frame {
	w.t.Helper()
	frames, err := w.direct.Do(w.ctx, lines...)
	if err != nil {
		w.t.Fatal(err)
	}
	return frames
}

// files are what there is in the instance's folder and in the install's folders
// that Asterisk may write to, but for logs and the database.
func (w *attacked) files() (all []string) {
	w.t.Helper()
	_, home := w.a.Home()
	root := filepath.Dir(filepath.Dir(home))
	for _, dir := range []string{
		filepath.Join(home, "etc"), filepath.Join(home, "spool"), filepath.Join(home, "run"), filepath.Join(home, "cache"),
		filepath.Join(root, "tmp"), filepath.Join(root, "var/spool/asterisk"), filepath.Join(root, "var/lib/asterisk"),
	} {
		err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
			all = append(all, path)
			return nil // a folder that is not there, or a file that goes, is no file that was made
		})
		if err != nil {
			w.t.Fatal(err)
		}
	}
	return all
}

// made are the files that were not there before.
func (w *attacked) made(before []string) []string {
	return slices.DeleteFunc(w.files(), func(path string) bool { return slices.Contains(before, path) })
}

// secrets are those that the bench's configuration holds.
var secrets = []string{"s3cret", "alicepw", "carrierpw"}

func readsSecret(r harness.Reply) bool {
	text, err := json.Marshal(r)
	return err != nil || slices.ContainsFunc(secrets, func(secret string) bool { return strings.Contains(string(text), secret) })
}

// refused wants each attack to be refused, without effect. Which rule refuses it
// is held by the policy's own test: the audit has no record of each, of so many.
func (w *attacked) refused(r *harness.Running, attacks []harness.Attempt) {
	w.t.Helper()
	before := w.files()
	for _, one := range attacks {
		want := "forbidden"
		if one.Rule == "bad_request" {
			want = "bad_request"
		}
		got := r.Call("pbx1", one.Action, string(one.Body))
		if got.Error == nil || got.Error.Kind != want || got.Error.Sent != "no" || readsSecret(got) {
			w.t.Errorf("%q %s: %+v, want %s", one.Action, one.Body, got, want)
		}
	}
	// Whatever had come through would be behind these two.
	harness.Succeeds(w.t, r.Call("pbx1", "Originate", `{"Channel":"Local/answer@load","Application":"Wait","Data":"1","Timeout":5000}`))
	if made := w.made(before); len(made) > 0 {
		w.t.Errorf("files were made: %s", made)
	}
	w.t.Logf("Asterisk %s: %d attacks refused, %d of them with 400", w.a.Version(), len(attacks),
		len(slices.DeleteFunc(slices.Clone(attacks), func(a harness.Attempt) bool { return a.Rule != "bad_request" })))
}

// passes wants the policy to let each request through, whatever Asterisk says.
func (w *attacked) passes(r *harness.Running, ordinary []harness.Attempt) {
	w.t.Helper()
	for _, one := range ordinary {
		got := r.Call("pbx1", one.Action, string(one.Body))
		if got.Error != nil && (got.Error.Kind != "asterisk_error" || got.Error.Sent != "yes") {
			w.t.Errorf("%s %s: %+v", one.Action, one.Body, got.Error)
		}
	}
}

// works wants what is said to work to make its file, or to read a secret.
func (w *attacked) works(r *harness.Running, attacks []harness.Attempt) {
	w.t.Helper()
	version, _, _ := strings.Cut(w.a.Version(), ".")
	var hoped []harness.Attempt
	for _, one := range attacks {
		if !slices.Contains(strings.Fields(one.Works), version) {
			continue
		}
		got := r.Call("pbx1", one.Action, string(one.Body))
		if readsSecret(got) {
			continue
		}
		hoped = append(hoped, one)
		// A command runs when its recording has ended.
		switch {
		case one.Action == "ConfbridgeStartRecord":
			w.do("Action: ConfbridgeStopRecord", "Conference: room-victim")
		case one.Action == "Monitor":
			w.do("Action: StopMonitor", "Channel: victim")
		}
	}
	if len(hoped) < 18 {
		w.t.Errorf("only %d attacks make files", len(hoped))
	}
	defer func() {
		for _, one := range hoped {
			w.t.Logf("no file of %s %s", one.Action, one.Body)
		}
	}()
	harness.Eventually(w.t, "each attack makes its file", func() bool {
		files := strings.Join(w.files(), "\n")
		hoped = slices.DeleteFunc(hoped, func(a harness.Attempt) bool { return strings.Contains(files, a.Mark) })
		return len(hoped) == 0
	})
}
