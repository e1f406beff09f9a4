package policy

import (
	"slices"
	"strings"

	"github.com/ami-nats-bridge/ami-nats-bridge/frames"
)

// ownFamilies are those of the database that Asterisk reads again: the contacts and subscriptions of
// PJSIP (res_sorcery_astdb.c), chan_sip's and chan_iax2's registrations, persistent members of queues
// (app_queue.c reload_queue_members), routes and the secret of DUNDi, and the files that it got from URLs,
// which it plays and deletes (media_cache.c).
var ownFamilies = [...]string{"registrar", "subscription_persistence", "SIP", "IAX", "Queue", "dundi", "MediaCache"}

// secretFamilies hold the key of DUNDi, and whole requests with the proof of the password.
var secretFamilies = [...]string{"dundi", "subscription_persistence"}

const ownFamily = "a family that Asterisk itself keeps registrations, members, routes or files in"

const secretFamily = "a family in which Asterisk keeps secrets"

// isOwnFamily reports whether family begins with one of ownFamilies: Key may have the rest of it. The
// database ignores case where it looks for all of a family (db.c gettree_stmt). A SHA-1 is that of a URL,
// under which its file is named.
func isOwnFamily(family string) bool {
	first := firstPart(family)
	return findName(ownFamilies[:], first) != "" || len(first) == 40 && strings.Trim(strings.ToLower(first), "0123456789abcdef") == ""
}

func isSecretFamily(family string) bool { return findName(secretFamilies[:], firstPart(family)) != "" }

func firstPart(family string) string {
	first, _, _ := strings.Cut(family, "/")
	return first
}

func reachesSecretFamily(pattern string) bool { return reaches(secretFamilies[:], pattern) }

func reachesOwnFamily(pattern string) bool { return reaches(ownFamilies[:], pattern) }

// reaches reports whether pattern may mean one of families, or what is in it: DBGetTree and DBDelTree take _ for
// any character, a / too, and % for several.
func reaches(families []string, pattern string) bool {
	return slices.ContainsFunc(families, func(family string) bool {
		for i := range len(family) {
			switch {
			case i == len(pattern):
				return false
			case pattern[i] == '%':
				return true
			case pattern[i] != '_' && !strings.EqualFold(pattern[i:i+1], family[i:i+1]):
				return false
			}
		}
		return len(pattern) == len(family) || strings.IndexByte("/_%", pattern[len(family)]) >= 0
	})
}

// wholeDatabase refuses a DBGetTree without a family, which gets all of them.
func (p *Policy) wholeDatabase(headers []frames.Header) *Refusal {
	if families := Values(headers, "Family"); len(families) > 0 && !slices.Contains(families, "") {
		return nil
	}
	return p.wants("DBGetTree", held{shown: "Family", what: "no Family, which gets the whole database, secrets too"})
}
