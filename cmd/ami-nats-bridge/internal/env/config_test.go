package env

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn"
	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/setting"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/policy"
	"github.com/ami-nats-bridge/ami-nats-bridge/cmd/ami-nats-bridge/internal/env/envtest"
)

// global and common are the contract's section on configuration.
var global = `SERVERS OUTBOX_TOTAL_BYTES NATS_URL NATS_CREDS_FILE NATS_USER NATS_PASSWORD NATS_PASSWORD_FILE NATS_TOKEN
NATS_TOKEN_FILE NATS_TLS_CA_FILE NATS_TLS_CERT_FILE NATS_TLS_KEY_FILE NATS_TLS_FIRST NATS_LEAF_URL NATS_LEAF_DOMAIN EMBEDDED_NATS_ADDR DATA_DIR NODE SUBJECT_PREFIX HTTP_ADDR WEB WEB_PASSWORD WEB_PASSWORD_FILE WEB_NUMBERS
CONNECT_CONCURRENCY CONNECT_RATE LINGER STATUS_INTERVAL STREAM_REPLICAS STREAM_MAX_AGE STREAM_MAX_BYTES IDEMPOTENCY_WINDOW DELIVERY EVENT_HEADERS AUDIT
AUDIT_MAX_AGE STREAMS ENV_FILE LOG_LEVEL LOG_FORMAT LOG_REDACT_KEYS LOG_REDACT_PATTERN SHUTDOWN_TIMEOUT ACTIONS_ALLOW ACTIONS_DENY ACTIONS_RULES GROUP_<NAME>
STATE STATE_INTERVAL STATE_MARKER_AGE STATE_MAX_BYTES HA HA_SILENCE HA_WEIGHT HA_COPIES`

var common = `ADDR USERNAME SECRET SECRET_FILE TLS TLS_CA_FILE TLS_SERVER_NAME TLS_PIN_SHA256 TLS_LEGACY AUTH EVENTS SESSIONS ACTION_SESSIONS CONNECT_TIMEOUT LOGIN_TIMEOUT
PING_INTERVAL READ_TIMEOUT ACTION_TIMEOUT ACTION_TIMEOUTS ACTION_RATES BREAKER_FAILURES BREAKER_COOLDOWN BREAKER_PROBES BACKOFF_MIN BACKOFF_MAX
STABLE_AFTER OUTBOX_BYTES WRITE_BUFFER_BYTES MAX_PENDING MAX_FRAME_BYTES EVENTS_ALLOW EVENTS_DENY SHED_FIRST CHARSET
ACTIONS_ALLOW ACTIONS_DENY ACTIONS_RULES STATE STATE_RESYNC STATE_MAX_OBJECTS HA_COPIES`

func TestRows_AreTheContractsVariables(t *testing.T) {
	envtest.Set(t)
	var want, got []string
	for name := range strings.FieldsSeq(global) {
		want = append(want, "BRIDGE_"+name)
	}
	for name := range strings.FieldsSeq(common) {
		want = append(want, "BRIDGE_AMI_"+name)
	}
	s := Defaults()
	for _, r := range s.Rows() {
		got = append(got, r.Name)
		if r.Meaning == "" {
			t.Errorf("%s has no meaning", r.Name)
		}
	}
	slices.Sort(want)
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error("names (-want +got):", diff)
	}
	if len(meanings) != len(got) {
		t.Errorf("%d meanings of %d variables", len(meanings), len(got))
	}
}

func TestRows_DefaultsAreTheContracts(t *testing.T) {
	envtest.Set(t)
	want := map[string]string{}
	for pair := range strings.FieldsSeq(`AMI_TLS=off AMI_TLS_LEGACY=off AMI_AUTH=md5 AMI_EVENTS=on AMI_SESSIONS=2 AMI_ACTION_SESSIONS=1
		AMI_CONNECT_TIMEOUT=10s AMI_LOGIN_TIMEOUT=5s AMI_PING_INTERVAL=15s AMI_READ_TIMEOUT=30s AMI_ACTION_TIMEOUT=30s
		AMI_BREAKER_FAILURES=5 AMI_BREAKER_COOLDOWN=30s AMI_BREAKER_PROBES=1 AMI_BACKOFF_MIN=100ms AMI_BACKOFF_MAX=30s
		AMI_STABLE_AFTER=10s AMI_OUTBOX_BYTES=64MiB AMI_WRITE_BUFFER_BYTES=5MiB AMI_MAX_PENDING=5000 AMI_MAX_FRAME_BYTES=1MiB
		AMI_EVENTS_ALLOW=* AMI_CHARSET=utf-8 OUTBOX_TOTAL_BYTES=1GiB EMBEDDED_NATS_ADDR=127.0.0.1:4222 DATA_DIR=./data
		SUBJECT_PREFIX=ami HTTP_ADDR=127.0.0.1:9108 CONNECT_CONCURRENCY=5 CONNECT_RATE=50 LINGER=5ms STATUS_INTERVAL=5s
		STREAM_REPLICAS=1 STREAM_MAX_AGE=720h STREAM_MAX_BYTES=10GiB DELIVERY=jetstream EVENT_HEADERS=ami AUDIT=on AUDIT_MAX_AGE=0s STREAMS=manage
		LOG_LEVEL=info NATS_TLS_FIRST=off LOG_FORMAT=json SHUTDOWN_TIMEOUT=20s IDEMPOTENCY_WINDOW=2m WEB=auto WEB_NUMBERS=last4
		STATE=on STATE_INTERVAL=200ms STATE_MARKER_AGE=10m STATE_MAX_BYTES=1GiB AMI_STATE_RESYNC=5m AMI_STATE_MAX_OBJECTS=50000 HA=off HA_SILENCE=1s HA_WEIGHT=1 HA_COPIES=2 AMI_HA_COPIES=0
		AMI_STATE=channels,bridges,queues,parking,conferences,extensions`) {
		name, value, _ := strings.Cut(pair, "=")
		want["BRIDGE_"+name] = value
	}
	want["BRIDGE_NODE"] = nodeName()
	got := map[string]string{}
	s := Defaults()
	for _, r := range s.Rows() {
		if r.ByDefault != "" {
			got[r.Name] = r.ByDefault
		}
		if r.Value != r.ByDefault || r.From != "default" {
			t.Errorf("%s = %q from %s with an empty environment", r.Name, r.Value, r.From)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error("defaults (-want +got):", diff)
	}
}

func TestLoad_LayersCommonAndOwnSettings(t *testing.T) {
	envtest.Set(t, "BRIDGE_SERVERS= pbx1 , pbx-2,", "BRIDGE_AMI_USERNAME=bridge", "BRIDGE_AMI_SECRET="+envtest.Canary,
		"BRIDGE_AMI_READ_TIMEOUT=40s", "BRIDGE_AMI_EVENTS_DENY=RTCP*, VarSet", "BRIDGE_AMI_ACTION_SESSIONS=4",
		"BRIDGE_AMI_ACTION_TIMEOUTS=Originate=60s,Command=10s", "BRIDGE_AMI_ACTION_RATES=Originate=0.5",
		"BRIDGE_SERVER_PBX_2_ACTION_RATES=", "BRIDGE_SERVER_PBX_2_ACTION_SESSIONS=1",
		"BRIDGE_SERVER_PBX1_ADDR=10.0.0.1:5038", "BRIDGE_SERVER_PBX_2_ADDR=10.0.0.2:5039",
		"BRIDGE_SERVER_PBX_2_READ_TIMEOUT=50s", "BRIDGE_SERVER_PBX_2_EVENTS_DENY=", "BRIDGE_SERVER_PBX_2_TLS=on",
		"BRIDGE_AMI_ACTIONS_RULES=Hangup: Channel absent", "BRIDGE_SERVER_PBX_2_ACTIONS_RULES=",
		"BRIDGE_SERVER_PBX1_ACTIONS_RULES= Redirect: Channel  in( a,b );", "BRIDGE_SERVER_PBX_2_CHARSET=latin1", "BRIDGE_NATS_URL=nats://n:4222", "BRIDGE_HTTP_ADDR=", "BRIDGE_LOG_LEVEL=")
	s, problems := Load()
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	if got := s.Bridge.Servers[0].ActionsRules.String(); got != "Redirect: Channel  in( a,b )" {
		t.Errorf("the first server's rules are %q", got)
	}
	for i, want := range []string{"BRIDGE_AMI_ACTION_RATES", "BRIDGE_SERVER_PBX_2_ACTION_RATES"} {
		if got := s.Bridge.Servers[i].Variable("ACTION_RATES"); got != want {
			t.Errorf("ACTION_RATES is called %s, want %s", got, want)
		}
		s.Bridge.Servers[i].Variables, s.Bridge.Servers[i].Prefix = nil, ""
	}
	s.Bridge.Servers[0].ActionsRules = nil
	first, second := config.DefaultServerConfig(), config.DefaultServerConfig()
	first.Name, first.Addr, first.Username, first.Secret = "pbx1", "10.0.0.1:5038", "bridge", envtest.Canary
	first.ReadTimeout, first.EventsDeny = 40*time.Second, setting.Globs{"RTCP*", "VarSet"}
	first.ActionSessions, first.ActionRates = 4, policy.Rates{{Pattern: "Originate", Value: 0.5}}
	first.ActionTimeouts = amiconn.Timeouts{{Pattern: "Originate", Value: time.Minute}, {Pattern: "Command", Value: 10 * time.Second}}
	second.ActionTimeouts = first.ActionTimeouts
	second.Name, second.Addr, second.Username, second.Secret = "pbx-2", "10.0.0.2:5039", "bridge", envtest.Canary
	second.ReadTimeout, second.EventsDeny, second.TLS, second.Charset = 50*time.Second, setting.Globs{}, true, 1
	second.ActionsRules = policy.Rules{}
	if diff := cmp.Diff([]config.ServerConfig{first, second}, s.Bridge.Servers); diff != "" {
		t.Error("servers (-want +got):", diff)
	}
	if s.Bridge.HTTPAddr != "" || s.Bridge.NATS.URL != "nats://n:4222" {
		t.Errorf("HTTP_ADDR %q, NATS_URL %q", s.Bridge.HTTPAddr, s.Bridge.NATS.URL)
	}
}

func TestLoad_ReportsAllProblemsAtOnceWithoutValues(t *testing.T) {
	envtest.Set(t, "BRIDGE_SERVERS=pbx1,pbx-2", "BRIDGE_SERVER_PBX1_ADDR="+envtest.Canary, "BRIDGE_SERVER_PBX1_USERNAME=u",
		"BRIDGE_SERVER_PBX1_SECRET="+envtest.Canary, "BRIDGE_SERVER_PBX1_SECRET_FILE=/"+envtest.Canary,
		"BRIDGE_SERVER_PBX_2_ADDR=h:1", "BRIDGE_SERVER_PBX_2_SECRET=", "BRIDGE_AMI_SESSIONS=3",
		"BRIDGE_AMI_ACTION_SESSIONS=99", "BRIDGE_AMI_ACTION_TIMEOUTS="+envtest.Canary, "BRIDGE_AMI_ACTION_RATES="+envtest.Canary+"=fast",
		"BRIDGE_AMI_PING_INTERVAL="+envtest.Canary, "BRIDGE_AMI_TLS="+envtest.Canary, "BRIDGE_AMI_MAX_PENDING="+envtest.Canary,
		"BRIDGE_AMI_CHARSET="+envtest.Canary, "BRIDGE_AMI_AUTH="+envtest.Canary, "BRIDGE_AMI_OUTBOX_BYTES="+envtest.Canary,
		"BRIDGE_AMI_EVENTS_ALLOW=["+envtest.Canary, "BRIDGE_CONNECT_RATE="+envtest.Canary, "BRIDGE_LOG_LEVEL="+envtest.Canary,
		"BRIDGE_LOG_FORMAT="+envtest.Canary, "BRIDGE_DELIVERY="+envtest.Canary, "BRIDGE_STREAM_REPLICAS=9",
		"BRIDGE_NATS_PASSWORD_FILE=/nowhere/"+envtest.Canary, "BRIDGE_HTPP_ADDR="+envtest.Canary, "BRIDGE_SERVER_PBX9_ADDR="+envtest.Canary,
		"BRIDGE_SERVER_PBX1_ADR="+envtest.Canary, "BRIDGE_EMBEDDED_NATS_ADDR="+envtest.Canary,
		"BRIDGE_ACTIONS_RULES=Hangup: Channel absent; Hangup: Cause matches (", "BRIDGE_SERVER_PBX1_ACTIONS_RULES=\""+envtest.Canary)
	s, problems := Load()
	want := []string{
		`BRIDGE_ACTIONS_RULES: rule "Hangup: Cause matches (" wants a regular expression (RE2); one that holds ; or a quote stands in quotes`,
		"BRIDGE_AMI_ACTION_RATES: wants patterns of actions with how many a second, more than 0, such as Originate=5,Queue*=0.5",
		"BRIDGE_AMI_ACTION_SESSIONS: wants 1 to 16",
		"BRIDGE_AMI_ACTION_TIMEOUTS: wants patterns of actions with positive durations, such as Originate=60s,Queue*=5s",
		"BRIDGE_AMI_AUTH: wants md5 or plain",
		"BRIDGE_AMI_CHARSET: wants utf-8 or latin1",
		"BRIDGE_AMI_EVENTS_ALLOW: wants patterns such as Queue*,Hangup",
		"BRIDGE_AMI_MAX_PENDING: wants a whole number",
		"BRIDGE_AMI_OUTBOX_BYTES: wants bytes such as 65536, 512KiB, 64MiB or 10GiB",
		"BRIDGE_AMI_PING_INTERVAL: wants a duration such as 500ms, 15s or 2m",
		"BRIDGE_AMI_SESSIONS: wants 1 or 2",
		"BRIDGE_AMI_TLS: wants on or off",
		"BRIDGE_CONNECT_RATE: wants a number",
		"BRIDGE_DELIVERY: wants jetstream or core",
		"BRIDGE_EMBEDDED_NATS_ADDR: wants host:port, such as 127.0.0.1:4222",
		"BRIDGE_HTPP_ADDR: is not a setting; the nearest is BRIDGE_HTTP_ADDR",
		"BRIDGE_LOG_FORMAT: wants json or console",
		"BRIDGE_LOG_LEVEL: wants debug, info, warn or error",
		"BRIDGE_NATS_PASSWORD_FILE: its file cannot be read: no such file or directory",
		`BRIDGE_SERVER_PBX1_ACTIONS_RULES: a quote " is not closed`,
		"BRIDGE_SERVER_PBX1_ADDR: wants host:port, such as 10.0.0.1:5038",
		"BRIDGE_SERVER_PBX1_ADR: is not a setting; the nearest is BRIDGE_SERVER_PBX1_ADDR",
		"BRIDGE_SERVER_PBX1_SECRET: and BRIDGE_SERVER_PBX1_SECRET_FILE are both set: keep one",
		"BRIDGE_SERVER_PBX9_ADDR: no server PBX9 in BRIDGE_SERVERS=pbx1,pbx-2",
		"BRIDGE_SERVER_PBX_2_SECRET: is missing: set it, or BRIDGE_SERVER_PBX_2_SECRET_FILE",
		"BRIDGE_SERVER_PBX_2_USERNAME: wants the user's name in manager.conf",
		"BRIDGE_STREAM_REPLICAS: wants 1 to 5",
	}
	if diff := cmp.Diff(want, problems); diff != "" {
		t.Error("problems (-want +got):", diff)
	}
	if os.Getenv("BRIDGE_AMI_TLS") != envtest.Canary || !slices.Contains(s.refused, "BRIDGE_AMI_TLS") {
		t.Error("the environment was not restored, or the refusal is not remembered")
	}
}

func TestLoad_WantsServers(t *testing.T) {
	envtest.Set(t, "BRIDGE_SERVER_PBX1_ADDR=h:1")
	_, problems := Load()
	want := []string{
		"BRIDGE_SERVERS: is missing: name your servers, such as pbx1,pbx2",
		"BRIDGE_SERVER_PBX1_ADDR: no server PBX1 in BRIDGE_SERVERS, which is not set",
	}
	if diff := cmp.Diff(want, problems); diff != "" {
		t.Error("problems (-want +got):", diff)
	}
}

func TestLoad_IgnoresWhatOrchestratorsInject(t *testing.T) {
	envtest.Set(t, envtest.One("BRIDGE_SERVICE_HOST=10.0.0.9", "BRIDGE_SERVICE_PORT=9108", "BRIDGE_SERVICE_PORT_HTTP=9108",
		"BRIDGE_PORT=tcp://10.0.0.9:9108", "BRIDGE_PORT_9108_TCP=tcp://10.0.0.9:9108", "BRIDGE_PORT_9108_TCP_ADDR=10.0.0.9",
		"BRIDGE_NATS_SERVICE_HOST=10.0.0.8", "BRIDGE_TEST_ASTERISK=x")...)
	if _, problems := Load(); len(problems) > 0 {
		t.Error(problems)
	}
	envtest.Set(t, envtest.One("BRIDGE_HTTP_PORT=9108")...)
	if _, problems := Load(); len(problems) != 1 {
		t.Errorf("a mistyped …_PORT passes as injected: %q", problems)
	}
}

func TestLoad_ReadsSecretsFromFiles(t *testing.T) {
	file := func(content string) string {
		name := filepath.Join(t.TempDir(), "secret")
		if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return name
	}
	envtest.Set(t, "BRIDGE_SERVERS=pbx1", "BRIDGE_AMI_SECRET=common", "BRIDGE_AMI_USERNAME=u", "BRIDGE_SERVER_PBX1_ADDR=h:1",
		"BRIDGE_SERVER_PBX1_SECRET_FILE="+file(" "+envtest.Canary+" \n"), "BRIDGE_NATS_TOKEN_FILE="+file(envtest.Canary),
		"BRIDGE_NATS_PASSWORD_FILE="+file(envtest.Canary+"\r\n"))
	s, problems := Load()
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	secret, err1 := s.Bridge.Servers[0].ReadSecret()
	password, err2 := s.Bridge.NATS.ReadPassword()
	if err := errors.Join(err1, err2); err != nil || secret != envtest.Canary || password != envtest.Canary || s.Bridge.Servers[0].Secret != "" {
		t.Errorf("secrets differ: lengths %d %d, %v", len(secret), len(password), err)
	}
	for content, want := range map[string]string{"\n": "its file is empty", "a\nb\n": "its file holds more than one line, or NUL"} {
		envtest.Set(t, envtest.One("BRIDGE_NATS_TOKEN_FILE="+file(content))...)
		if _, problems := Load(); !slices.Equal(problems, []string{"BRIDGE_NATS_TOKEN_FILE: " + want}) {
			t.Errorf("%q: %q", content, problems)
		}
	}
}

// loaded are settings that must be right.
func loaded(t *testing.T, variables ...string) *Settings {
	t.Helper()
	envtest.Set(t, variables...)
	s, problems := Load()
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	return &s
}

// An empty value is as good as none, except where it takes something away.
func TestLoad_AnEmptyValueTakesListsAway(t *testing.T) {
	envtest.Set(t, envtest.One("BRIDGE_HTTP_ADDR=", "BRIDGE_AMI_EVENTS_DENY=RTCP*", "BRIDGE_AMI_SHED_FIRST=VarSet", "BRIDGE_AMI_ACTIONS_ALLOW=Command", "BRIDGE_AMI_ACTIONS_DENY=Ping",
		"BRIDGE_AMI_ACTIONS_RULES=Hangup: Channel absent", "BRIDGE_AMI_ACTION_TIMEOUTS=Originate=60s", "BRIDGE_AMI_ACTION_RATES=Originate=1", "BRIDGE_AMI_READ_TIMEOUT=40s",
		"BRIDGE_SERVER_PBX1_EVENTS_DENY=", "BRIDGE_SERVER_PBX1_SHED_FIRST=", "BRIDGE_SERVER_PBX1_ACTIONS_ALLOW=", "BRIDGE_SERVER_PBX1_ACTIONS_DENY=",
		"BRIDGE_SERVER_PBX1_ACTIONS_RULES=", "BRIDGE_SERVER_PBX1_ACTION_TIMEOUTS=", "BRIDGE_SERVER_PBX1_ACTION_RATES=", "BRIDGE_SERVER_PBX1_READ_TIMEOUT=",
		"BRIDGE_NODE=", "BRIDGE_SUBJECT_PREFIX=")...)
	s, problems := Load()
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	own := s.Bridge.Servers[0]
	for name, left := range map[string]string{
		"HTTP_ADDR": s.Bridge.HTTPAddr, "EVENTS_DENY": own.EventsDeny.String(), "SHED_FIRST": own.ShedFirst.String(), "ACTIONS_ALLOW": own.ActionsAllow.String(),
		"ACTIONS_DENY": own.ActionsDeny.String(), "ACTIONS_RULES": own.ActionsRules.String(), "ACTION_TIMEOUTS": own.ActionTimeouts.String(), "ACTION_RATES": own.ActionRates.String(),
	} {
		if left != "" {
			t.Errorf("%s is still %q", name, left)
		}
	}
	if own.ReadTimeout != 40*time.Second || s.Bridge.SubjectPrefix != "ami" || s.Bridge.Node == "" {
		t.Errorf("READ_TIMEOUT %v, SUBJECT_PREFIX %q, NODE %q", own.ReadTimeout, s.Bridge.SubjectPrefix, s.Bridge.Node)
	}
}

// A group is called as its variable, in lower case; a level that zap has and the
// page has not is a problem.
func TestLoad_GroupsAndLevels(t *testing.T) {
	envtest.Set(t, envtest.One("BRIDGE_GROUP_SALES_EU= pbx1 ,", "BRIDGE_LOG_LEVEL=error")...)
	s, problems := Load()
	if want := []config.Group{{Name: "sales_eu", Servers: []string{"pbx1"}}}; len(problems) > 0 || !cmp.Equal(s.Bridge.Groups, want) {
		t.Errorf("groups %+v, %v", s.Bridge.Groups, problems)
	}
	for _, level := range []string{"dpanic", "panic", "fatal"} {
		envtest.Set(t, envtest.One("BRIDGE_LOG_LEVEL="+level)...)
		if _, problems := Load(); !slices.Equal(problems, []string{"BRIDGE_LOG_LEVEL: wants debug, info, warn or error"}) {
			t.Errorf("%s: %q", level, problems)
		}
	}
}
