//go:build unix

package ha

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
	"github.com/ami-nats-bridge/ami-nats-bridge/integration/harness"
)

// takes wants the program to take a bridge's variables.
func takes(t *testing.T, program string, env map[string]string) {
	t.Helper()
	config := exec.CommandContext(t.Context(), program, "config")
	for name, value := range env {
		config.Env = append(config.Env, name+"="+value)
	}
	if out, err := config.CombinedOutput(); err != nil {
		t.Errorf("the bridge does not take it: %v\n%s", err, out)
	}
	if env["BRIDGE_HA"] != "on" {
		t.Error("it does not share its servers")
	}
}

// outlasts wants a grace to be longer than the shutdown.
func outlasts(t *testing.T, grace time.Duration) {
	t.Helper()
	if least := config.DefaultConfig().ShutdownTimeout; grace <= least {
		t.Errorf("it is killed after %v, and may take %v to hand over", grace, least)
	}
}

// The bridges of the compose file differ in their names and ports, and in nothing else.
func TestDeploy_ComposeHasTwoBridges(t *testing.T) {
	var compose struct {
		Services map[string]struct {
			Environment map[string]string
			Grace       time.Duration `yaml:"stop_grace_period"`
			Ports       []string
		}
	}
	if err := yaml.Unmarshal([]byte(harness.ReadText(t, harness.Root(t), "deploy/ha/docker-compose.yml")), &compose); err != nil {
		t.Fatal(err)
	}
	program, ports := harness.BuildBridge(t), map[string]bool{}
	for _, name := range []string{"b1", "b2"} {
		s := compose.Services[name]
		takes(t, program, s.Environment)
		outlasts(t, s.Grace)
		if s.Environment["BRIDGE_NODE"] != name || len(s.Ports) != 1 || ports[s.Ports[0]] {
			t.Errorf("%s is %s at %v", name, s.Environment["BRIDGE_NODE"], s.Ports)
		}
		ports[s.Ports[0]] = true
		delete(s.Environment, "BRIDGE_NODE")
	}
	if a, b := compose.Services["b1"].Environment, compose.Services["b2"].Environment; len(a) != len(b) {
		t.Errorf("%v and %v", a, b)
	}
	if !strings.HasPrefix(compose.Services["b1"].Environment["BRIDGE_NATS_URL"], "nats://nats:") {
		t.Error("they do not meet at one NATS")
	}
}

// The pods have names of their own for BRIDGE_NODE, time to hand over, and are told from
// their healths what they are for.
func TestDeploy_PodsTakeTheirNamesForNodes(t *testing.T) {
	type object struct {
		Kind string
		Spec struct {
			Replicas, MinReadySeconds int
			MaxUnavailable            int `yaml:"maxUnavailable"`
			Template                  struct {
				Spec struct {
					Grace      int `yaml:"terminationGracePeriodSeconds"`
					Containers []struct {
						Env []struct {
							Name, Value string
							ValueFrom   struct {
								FieldRef struct {
									FieldPath string `yaml:"fieldPath"`
								} `yaml:"fieldRef"`
							} `yaml:"valueFrom"`
						}
						Readiness struct {
							HTTPGet struct{ Path string } `yaml:"httpGet"`
						} `yaml:"readinessProbe"`
						Liveness struct {
							HTTPGet struct{ Path string } `yaml:"httpGet"`
						} `yaml:"livenessProbe"`
					}
				}
			}
		}
	}
	kinds := map[string]object{}
	for d := yaml.NewDecoder(strings.NewReader(harness.ReadText(t, harness.Root(t), "deploy/ha/kubernetes.yml"))); ; {
		var o object
		if err := d.Decode(&o); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		kinds[o.Kind] = o
	}
	set := kinds["StatefulSet"].Spec
	pod := set.Template.Spec
	outlasts(t, time.Duration(pod.Grace)*time.Second)
	if len(pod.Containers) != 1 || set.Replicas < 2 || kinds["PodDisruptionBudget"].Spec.MaxUnavailable != 1 {
		t.Fatalf("%+v", kinds)
	}
	c := pod.Containers[0]
	if ready, live := c.Readiness.HTTPGet.Path, c.Liveness.HTTPGet.Path; ready != "/readyz" || live != "/healthz" {
		t.Errorf("ready is %s, alive %s", ready, live)
	}
	env := map[string]string{}
	for _, v := range c.Env {
		env[v.Name] = v.Value
		switch {
		case v.Name == "BRIDGE_NODE":
			if v.ValueFrom.FieldRef.FieldPath != "metadata.name" {
				t.Errorf("the node is %q", v.ValueFrom.FieldRef.FieldPath)
			}
			env[v.Name] = "ami-bridge-0"
		case strings.HasSuffix(v.Name, "_FILE"):
			env[v.Name] = filepath.Join(t.TempDir(), "secret")
			if err := os.WriteFile(env[v.Name], []byte("s3cret"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	takes(t, harness.BuildBridge(t), env)
}
