package policy

import "regexp"

// elsewhere finds what a sound may be beside a name in the folder of sounds: a URL, which
// Asterisk gets and keeps in a file (file.c is_remote_path, media_cache.c), or the path of a file that
// others have recorded: calls, messages, names (file.c build_filename). SayUnixTime plays what its format
// has in quotes; brackets are an option's.
var elsewhere = regexp.MustCompile(`\.\.|(^|[,&(:'])\s*/`)

// leavesSounds reports whether text, of what may play, holds such a thing. Asterisk takes quotes and
// backslashes out first.
func leavesSounds(text string) bool { return elsewhere.MatchString(argumentQuotes.Replace(text)) }
