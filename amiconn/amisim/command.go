package amisim

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// maxLong bounds the output of "long N".
const maxLong = 1_000_000

// command runs a CLI command. Besides what Asterisk has, "long N" prints N
// lines.
func command(r *reply) {
	line := r.a.Get("Command")
	if line == "" {
		r.fail("No command provided")
		return
	}
	output, known := r.cli(line)
	if r.srv.cfg.follows() {
		r.headers("Response", "Follows", "Privilege", "Command", "ActionID", r.a.ActionID)
		r.out = append(r.out, strings.Join(output, "\n")...)
		r.out = append(r.out, "\n--END COMMAND--\r\n\r\n"...)
		return
	}
	result := "Success"
	if !known {
		result = "Error"
	}
	r.headers("Response", result, "ActionID", r.a.ActionID, "Message", "Command output follows")
	for _, line := range output {
		r.headers("Output", line)
	}
	r.frame()
}

func (r *reply) cli(line string) (output []string, known bool) {
	words := strings.Fields(line)
	switch line = strings.ToLower(strings.Join(words, " ")); line {
	case "core show version":
		return []string{"Asterisk amisim-" + r.srv.cfg.Version + " built by nobody @ nowhere on a unknown running Go"}, true
	case "core show uptime":
		return []string{fmt.Sprint("System uptime: ", r.srv.now().Sub(r.srv.started).Round(time.Second))}, true
	case "core show channels":
		return r.showChannels(), true
	}
	if user, ok := strings.CutPrefix(line, "manager show user "); ok && (r.srv.hasUser(user) || r.srv.cfg.Reads[user] != "") {
		read := cmp.Or(r.srv.cfg.Reads[user], r.srv.cfg.Read, "system,call,log,verbose,command,agent,user,config,dtmf,reporting,cdr,dialplan,originate,agi,cc,aoc,test,security,message,all")
		return []string{"", "          username: " + user, "         read perm: " + read, "        write perm: all"}, true
	}
	if n, err := strconv.Atoi(strings.TrimPrefix(line, "long ")); err == nil && n >= 0 && n <= maxLong {
		for i := range n {
			output = append(output, fmt.Sprintf("line %d: a: b, c", i+1))
		}
		return output, true
	}
	return []string{fmt.Sprintf("No such command '%s' (type 'core show help %s' for other possible commands)", line, line)}, false
}

func (r *reply) showChannels() []string {
	live := r.srv.live.all()
	output := []string{"Channel              Location             State   Application(Data)             "}
	for _, c := range live {
		output = append(output, fmt.Sprintf("%-20s %-20s %-7s %s(%s)", c.name, c.exten+"@"+c.context, c.stateDesc(), c.app, c.data))
	}
	return append(output,
		fmt.Sprintf("%d active channels", len(live)),
		fmt.Sprintf("%d active calls", len(live)/2),
		fmt.Sprintf("%d calls processed", r.srv.channels.Load()/2))
}
