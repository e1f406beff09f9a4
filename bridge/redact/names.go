package redact

import (
	"slices"
	"strings"
	"unicode"
)

// kind is one kind of secret names. In words a comma ends a name, and a name of
// several words is the same with anything, or nothing, between them: api key is
// API_KEY, api-key, apiKey and APIKEY.
type kind struct{ what, words string }

// kinds is the one table of secret names: for log, audit and replies. The table
// in docs/security.md is this one (a test compares them).
var kinds = [...]kind{
	{"passwords", `password, passwd, pass, passphrase, passkey, pass word, passw, passwrd, pasword, pwd, pswd, psw, pword, pw, secret, shared secret, passwort, passwörter,
		kennwort, kennwörter, geheim, geheimnis, geheimwort, losungswort, zugangsdaten, login data, mot de passe, mdp, contraseña, contrasena, contrasenya, contrasenia, clave, senha, palavra passe, parola, parola chiave, wachtwoord,
		kodeord, lösenord, losenord, passord, adgangskode, salasana, hasło, haslo, heslo, jelszó, jelszo, lozinka, zaporka, geslo, şifre, sifre, kata sandi, mật khẩu, mat khau, пароль, סיסמה, 密码, 密碼, パスワード, 비밀번호,
		code word, codewort, safe word, memorable word, security answer, security question, memorable date, secret answer, secret question`},
	{"tokens", `token, jwt, bearer, cookie, session id, sessid, phpsessid, jsessionid, csrf, xsrf, saml, oauth, hmac,
		authorization, authorisation, x auth, auth header, http auth, basic auth, proxy auth, cred, creds, credential`},
	{"keys", `api key, app key, access key, account key, auth key, client key, consumer key, login key, master key, private key, priv key,
		secret key, service key, session key, shared key, signing key, storage key, subscription key, encryption key, decryption key, crypto key,
		aes key, hmac key, license key, licence key, pgp key, gpg key, rsa key, srtp key, ssh key, webhook key, wep key, wifi key, wpa key, azure key, stripe key, wallet key, enc key, key phrase, seed phrase, mnemonic, psk`},
	{"codes", `pin, pin code, nip, geheimzahl, geheimnummer, kennziffer, codigo secreto, código secreto, otp, totp, hotp, mfa, 2fa, tfa, two factor, tan, mtan, sms tan, push tan, photo tan, puk, passcode, access code, activation code,
		alarm code, auth code, authentication code, backup code, confirm code, confirmation code, door code, entry code, gate code, login code, one time code, recovery code,
		reset code, safety code, secret code, secure code, security code, sms code, unlock code, verification code, verify code, zugangs code,
		sicherheits code, freischalt code, toegangscode`},
	{"cards", `card, pan, cc, cc no, cc nr, cc num, cc number, cc exp, cc expiry, cc date, cc month, cc year, cc code, cc name, cc holder, cc hash, cc data,
		ccn, ccv, cvv, cvc, cvn, exp date, expiry date, track data, karte, karten nummer, karten nr, kreditkarte, carte, carte bleue, carta credito, tarjeta, cartão, cartao, kort nummer, kaart nummer`},
	{"bank", `iban, bban, clabe, bank account, bank acct, bank acc, bankverbindung, kto, bsb, account number, account num, account no, account nr, acct number, acct num, acct no,
		konto nummer, konto nr, sort code, routing number, routing no, aba number`},
	{"identity", `ssn, social security, soc sec, social insurance, ni number, nino, national insurance, national id, identity number, id number, id card, identity card, emirates id, passport, pass nummer, nif, cuit, cuil, ahv, dni, cpf, cnpj,
		curp, bsn, aadhaar, aadhar, pesel, personnummer, fodselsnummer, fødselsnummer, jmbg, codice fiscale, tax id, tax number, itin, steuer id,
		steuer nummer, steuer nr, sv nummer, sv nr, ausweis, ausweis nummer, personalausweis, versicherungs nummer, insurance number, nhs number, medicare number,
		driver license, driver licence, drivers license, drivers licence, driving licence, license number, licence number, dl number, dob, date of birth, birth date, birthday, bday, geburtsdatum, geb datum,
		geburtstag, maiden name`},
}

// harmless are names in which a word of kinds means something else: call
// completion (CALLCOMPLETION(cc_…), CC_INTERFACES), a public fingerprint, media.
const harmless = `by pass, pass through, pass thru, pass by, pass count, pass rate, pass fail, pass filter, high pass, low pass, band pass, all pass,
	cc agent, cc available, cc callback, cc context, cc core, cc exten, cc failure, cc interfaces, cc max, cc monitor, cc offer, cc recall, cc request,
	cc status, tls pin, pin sha, cert pin, secret exist, business card, sim card, sound card, network card, dahdi card, wild card, score card, token count`

// fillers are what a secret word is joined with in a name without separators:
// USERPIN, PINCODE, CARDNO, VMPASS.
const fillers = `access account acct admin again ami ari atm agent api app array ast asterisk auth bank banking block bot call caller card cipher client code codigo conf conference confirm count
	credit crm crypt crypto cust customer data date db debit default device digit digits door dst ec email enc encrypted entered exp expiry ext extension field
	first ftp full gateway gift google hash hashed hdr header holder host http https iax id imap in input iv ivr key last ldap len length list login logon mail main masked master meetme
	max md member merchant min mobile moderator month my name nbr new no nr num number old one orig original owner pad pay payment pbx peer phone pjsip plain provider
	proxy queue raw redis reg register response root salt service session sha short sim sip sms smtp sql src srv ssh str string sys system tel tele telefon telephone temp time text the tmp trunk type upi user username
	usr val valid validated value var verified verify vm voicemail vpn web wifi wlan www year`

// endings make a name secret at the end of a word: nothing harmless ends so.
var endings = [...]string{"secret", "passwd", "token", "cookie"}

const (
	// longWord is the length in bytes from which a word of the table counts
	// inside others as well: MYPASSWORDHASH.
	longWord = 8
	// loner is part of too many others: call completion has it too.
	loner = "cc"
	// maxName bounds what is looked at of a name, maxWord of a word of it, in
	// bytes; maxPhrase is how many words make one name together.
	maxName, maxWord, maxPhrase = 256, 64, 4
	twoFactor                   = "2fa"
)

// table is kinds as it is asked. It is not changed once made.
type table struct {
	alone  map[string]bool  // words that are no part of others
	pieces map[string]piece // of a word
	joined map[string]bool  // names of several words
	unlike map[string]bool  // harmless ones
	long   []string
	most   int // the longest piece, in bytes
}

// piece is what a part of a word is.
type piece uint8

const (
	filler piece = iota + 1
	secret
)

var names = newTable()

func newTable() *table {
	t := &table{
		alone: make(map[string]bool), pieces: make(map[string]piece), joined: make(map[string]bool), unlike: make(map[string]bool),
	}
	for name := range strings.SplitSeq(harmless, ",") {
		t.unlike[strings.Join(strings.Fields(name), "")] = true
	}
	for word := range strings.FieldsSeq(fillers) {
		t.pieces[word] = filler
	}
	for _, k := range kinds {
		for name := range strings.SplitSeq(k.words, ",") {
			words := strings.Fields(name)
			name = unmarked(strings.Join(words, ""))
			switch {
			case len(words) > 1:
				t.joined[name], t.joined[name+"s"], t.pieces[name] = true, true, secret
			case name == loner:
				t.alone[name] = true
				continue
			default:
				t.pieces[name] = secret
			}
			if name != "token" { // tokens are counted, as in "tokens: 3 left"
				t.pieces[name+"s"] = secret
			}
			if len(name) >= longWord || name[0] >= 0x80 {
				t.long = append(t.long, name)
			}
		}
	}
	for word := range t.pieces {
		t.most = max(t.most, len(word))
	}
	return t
}

// Name reports whether what has that name, a header, a variable, a function with
// its arguments or a field of a log line, is secret as a rule.
func Name(name string) bool {
	if len(name) > maxName {
		return Name(name[:maxName]) || Name(name[len(name)-maxName:])
	}
	name = unmarked(name)
	together := words(name, false)
	if names.secret(together) {
		return true
	}
	apart := words(name, true) // the same, as a rule
	return !slices.Equal(together, apart) && names.secret(apart) || hasTwoFactor(strings.ToLower(name))
}

// hasTwoFactor looks for 2fa, whose words are none.
func hasTwoFactor(lower string) bool {
	at := strings.Index(lower, twoFactor)
	return at == 0 || at > 0 && !unicode.IsLetter(rune(lower[at-1])) && !unicode.IsDigit(rune(lower[at-1]))
}

// unmarked returns s without accents that are characters of their own.
func unmarked(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= 0x80 && unicode.Is(unicode.M, r) {
			return -1
		}
		return r
	}, s)
}

// words returns the words of name, in lower case. They begin at capitals and end
// at what is no letter. HTTPCookie and PINcode show that a run of capitals can be
// read in two ways: with the small letters behind it, or, if apart, without its
// last.
func words(name string, apart bool) (all []string) {
	start, runStart := -1, -1 // of the word, and of its last capital
	var before rune
	end := func(at int) {
		if start >= 0 && at > start {
			all = append(all, strings.ToLower(name[start:at]))
		}
		start = at
	}
	for i, r := range name {
		switch {
		case !unicode.IsLetter(r):
			end(i)
			start = -1
		case start < 0:
			start = i
		case unicode.IsUpper(r) && !unicode.IsUpper(before):
			end(i)
		case apart && !unicode.IsUpper(r) && unicode.IsUpper(before) && runStart > start:
			end(runStart)
		}
		if unicode.IsUpper(r) {
			runStart = i
		}
		before = r
	}
	end(len(name))
	return all
}

// secret reports whether one of words, or some that follow each other, is
// secret.
func (t *table) secret(words []string) bool {
	for i := 0; i < len(words); i++ {
		if i+1 < len(words) && t.unlike[words[i]+words[i+1]] {
			i++
			continue
		}
		if !t.unlike[words[i]] && t.word(words[i]) {
			return true
		}
		for to := i + 2; to <= min(i+maxPhrase, len(words)); to++ {
			if t.joined[strings.Join(words[i:to], "")] {
				return true
			}
		}
	}
	return false
}

// word reports whether a word is secret: by itself, as one of several pieces that
// are all known, by a long piece or by its ending.
func (t *table) word(word string) bool {
	if t.alone[word] || t.isMadeOf(word[:min(len(word), maxWord)]) {
		return true
	}
	for _, ending := range endings {
		if strings.HasSuffix(word, ending) {
			return true
		}
	}
	for _, long := range t.long {
		if len(word) > len(long) && strings.Contains(word, long) {
			return true
		}
	}
	return false
}

// isMadeOf reports whether word is made of pieces of which one is secret.
func (t *table) isMadeOf(word string) bool {
	var reached [maxWord + 1]piece // filler: by fillers alone
	reached[0] = filler
	for from := range word {
		if reached[from] == 0 {
			continue
		}
		for to := from + 1; to <= min(len(word), from+t.most); to++ {
			if p := t.pieces[word[from:to]]; p != 0 {
				reached[to] = max(reached[to], p, reached[from])
			}
		}
	}
	return reached[len(word)] == secret
}
