//go:build unix

package faults

import (
	"os"
	"os/exec"
	"path/filepath"
)

// tinyDisk puts the store of the only server on a file system of its own, which
// only root may make.
func tinyDisk(r *rig) {
	n := r.nodes[0]
	if err := os.Mkdir(n.store(), 0o700); err != nil {
		r.t.Fatal(err)
	}
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", n.store()).CombinedOutput(); err != nil {
		r.t.Skipf("NOT TESTED: a disk that is full, for want of the right to mount one: %s", out)
	}
	r.t.Cleanup(func() { _ = exec.Command("umount", "-l", n.store()).Run() })
	n.maxFile = "8GB" // or it would refuse by itself before the disk is full
}

// diskFull: nothing can be written, until somebody makes room. nats-server does
// not try again before it is started again.
func diskFull(r *rig) {
	r.under(func() {
		path := filepath.Join(r.nodes[0].store(), "ballast")
		file, err := os.Create(path)
		if err != nil {
			r.t.Fatal(err)
		}
		defer file.Close()
		for some := make([]byte, 64<<10); len(some) > 0; {
			if _, err := file.Write(some); err != nil {
				some = some[len(some)/2+len(some)%2:] // to the last byte
			}
		}
		pause(r.t, r.length)
		if err := os.Remove(path); err != nil {
			r.t.Fatal(err)
		}
		file.Close()
		r.nodes[0].Kill()
		r.nodes[0].start()
	})
}
