package realasterisk

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// fakeInstall has what takeHome wants of an install, with the caller's own ids, so that it needs no root.
func fakeInstall(t *testing.T) string {
	root := t.TempDir()
	if err := os.MkdirAll(filepath.Join(root, "etc"), 0o755); err != nil {
		t.Fatal(err)
	}
	ids := strings.ReplaceAll("asterisk:x:UID:GID::/:/bin/false\n", "UID", strconv.Itoa(os.Getuid()))
	ids = strings.ReplaceAll(ids, "GID", strconv.Itoa(os.Getgid()))
	if err := os.WriteFile(filepath.Join(root, "etc/passwd"), []byte(ids), 0o644); err != nil {
		t.Fatal(err)
	}
	return root
}

func TestHome_IsPrivateUntilReleased(t *testing.T) {
	root := fakeInstall(t)
	var homes []*home
	for range 2 {
		h, err := takeHome(root)
		if err != nil {
			t.Fatal(err)
		}
		homes = append(homes, h)
	}
	if homes[0].path == homes[1].path || homes[0].address == homes[1].address {
		t.Errorf("two instances share %s or %s", homes[0].path, homes[0].address)
	}
	left := filepath.Join(homes[0].path, "spool/left")
	if err := os.WriteFile(left, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := homes[0].release(); err != nil {
		t.Fatal(err)
	}
	again, err := takeHome(root)
	if err != nil {
		t.Fatal(err)
	}
	if again.path != homes[0].path {
		t.Errorf("took %s, want %s that was released", again.path, homes[0].path)
	}
	if _, err := os.Stat(left); !os.IsNotExist(err) {
		t.Errorf("the folder kept what the instance before left: %v", err)
	}
	for _, h := range []*home{homes[1], again} {
		if err := h.release(); err != nil {
			t.Error(err)
		}
	}
}

func TestHome_RendersEveryFile(t *testing.T) {
	h, err := takeHome(fakeInstall(t))
	if err != nil {
		t.Fatal(err)
	}
	defer h.release()
	wanted := map[string]string{
		"asterisk.conf":   "astdbdir => " + h.inside + "/db\n",
		"manager.conf":    "bindaddr = " + h.address + "\n",
		"pjsip.conf":      "bind = " + h.address + ":15060\n",
		"extensions.conf": "NoOp(caf\xe9 ${UNIQUEID})\n",
		"ami.pem":         "BEGIN CERTIFICATE",
	}
	for name, want := range wanted {
		text, err := os.ReadFile(filepath.Join(h.path, "etc", name))
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(text), want) {
			t.Errorf("%s: no %q", name, want)
		}
		if strings.Contains(string(text), "{{") {
			t.Errorf("%s: a template is left", name)
		}
	}
}

func TestTakeHome_RefusesAFolderThatIsNoInstall(t *testing.T) {
	if h, err := takeHome(t.TempDir()); err == nil || !strings.Contains(err.Error(), "no install") {
		t.Errorf("took %v, %v", h, err)
	}
}
