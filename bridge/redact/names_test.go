package redact

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// Names that are secret, as people in call centres and their programs spell
// them.
var secretNames = strings.Fields(`
	secret Secret SECRETS XQSECRET QZTOKEN zwpasswd qwcookie MD5Secret AMI_SECRET amiSecret vmsecret VMSECRET dbsecret OauthSecret RemoteSecret SIP_SECRET SECRETKEY secretValue
	password Password PASSWORD passwords db.passwd DBPASSWD UserPassword MYPASSWORDHASH PASSWORD2 password_hash PasswordDigest passphrase
	pass PASS USERPASS VMPASS SIPPASS SMTP_PASS DB_PASS userPass pass1 PASSCODE passkey passwort PASSWORT Passwort NEUESPASSWORT kennwort USERPWD pwd pwd2
	motdepasse mot_de_passe MOT-DE-PASSE motDePasse mdp contraseña CONTRASEÑA contrasena clave senha parola wachtwoord lösenord hasło heslo şifre пароль 密码
	rootpw VMPW loginPw PASSWRD geheimwort GEHEIMNUMMER contrasenya palavra-passe ZUGANGSDATEN security_question
	ATMPIN MODERATORPIN CONFERENCEPIN QUEUEPIN DOORPIN TELEFONPIN PIN_BLOCK ONETIMEPIN TWOFACTORCODE NIP OAUTH2 SEEDPHRASE STEUERNR SV_NUMMER GIFTCARD maskedPan
	memorable_word MEMORABLEWORD SecurityAnswer CODEWORD
	token accessToken AUTHTOKEN access_token REFRESH-TOKEN RefreshToken X-Auth-Token csrf_token JWT jwt myJWT JWT_TOKEN USERJWT bearer cookie Cookie Set-Cookie
	HTTPCookie XMLPin COOKIES SESSIONID session_id PHPSESSID authorization Authorization Proxy-Authorization credentials credential creds Md5Cred X-Auth
	apikey APIKEY api_key apiKey x-api-key X-Api-Key APIKEYS ACCESSKEY AWS_SECRET_ACCESS_KEY privateKey PRIVKEY sharedKey license_key SSHKEY psk WPA_PSK
	pin PIN Pin pins PIN1 PIN_2 USERPIN UserPin userPIN MY_PIN CUSTOMERPIN PINCODE pincode PinCode PIN-CODE PINcode pinNumber PINNO CONF_PIN confpin geheimzahl
	OTP otp OTPCODE SMS_OTP smsOtp TOTP totp_seed 2FA 2fa_code tfa MFA_CODE mfaCode TAN mTAN SMSTAN puk PUK1 ACCESSCODE accessCode AUTH_CODE AUTHCODE
	VERIFICATIONCODE verificationCode verify_code SECURITYCODE one_time_code OneTimePassword DOORCODE zugangscode
	CARD card Card CARDNO CARDNUM CARDNUMBER CARD_NUMBER cardNumber CardNo CREDITCARD creditCardNumber CC_NUMBER CCNUM CCNO CCNUMBER CCEXP ccExpiry CC cc UserCC
	PAN pan cardPAN PAN_LAST CVV cvv2 CVC CVC2 ccv cvvCode CARDHOLDER card_exp DEBITCARD kreditkarte Kreditkartennummer kartennummer KARTE tarjeta
	IBAN iban IBANNR customerIban MY_IBAN BANKACCOUNT bank_account ACCOUNTNUMBER account_no AccountNumber kontonummer KONTO_NR SORTCODE routing_number
	SSN ssn SSN4 CUSTSSN socialSecurityNumber SOCIAL_SECURITY NINO national_id NATIONALID passport PASSPORT_NO DNI CPF BSN AADHAAR PESEL steuernummer
	TAXID tax_id DOB dateOfBirth DATE_OF_BIRTH birthdate GEBURTSDATUM mothersMaidenName
	__PIN ___CARD_NO _CC CDR(pin) HASH(card,number) PJSIP_HEADER(add,Authorization) PJSIP_HEADER(update,Cookie,1) CONFBRIDGE(user,pin)
	ARRAY(A,PIN,B) DB(creds/1) VM_INFO(100,password)
`)

// Names that are not, though there is a secret word in them; without them an
// audit says nothing.
var plainNames = strings.Fields(`
	tokenCount MFAX CVVX CAMPAIGN_ID COMPANYID cc_offer_timer PIPELINE TOPPING OPPOSE
	Action ActionID Account ACCOUNT AccountCode accountcode CDR(accountcode) AccountID Channel CallerID Context Exten Priority Variable Application Data Timeout
	SPINNING spin SPIN pinned PINNED PINE Pinger PING Opinion SHIPPING TOPIC CAPPING MAPPING STRIPPING hopping SHOPPING
	BYPASS bypass by_pass ByPass PASSENGER passengers COMPASS compassion SURPASS TRESPASS passive PASSED passes passthrough PASS_THROUGH passThrough
	COMPANY company CompanyName PANEL panel JAPAN SPAN span WINGSPAN EXPAND PANIC PANAMA companion HISPANIC PRISPAN
	AUTHOR author Authors auth AUTH AuthType auth_method
	ACCESS SUCCESS OCCUPIED ACCURACY ACCEPT CCSS cc_agent_policy cc_monitor_policy CALLCOMPLETION(cc_max_agents) CC_INTERFACES CCBS
	DISCARD discard CARDINAL cardinality CARDIFF cardiology BUSINESS_CARD sim_card SCORECARD
	SECRETARY secretariat SecretExist MD5SecretExist tokens TOKENIZER tokenized
	monkey keypad keyboard key KEY keys KEYWORD PUBLIC_KEY key_id server_key Turkey donkey whiskey hockey
	TANGO TANK CAPTAIN CONTAIN standard DISTANCE INSTANT METAN STANCE TITAN tangent BRITTANY
	CARIBBEAN LIBANON TALIBAN HIBANA TIBANA
	OPTION otpional SMOTP_ OPTIONS lotpool ASSN LESSON LESSN
	CODE code AREACODE COUNTRYCODE postcode ZIPCODE CAUSECODE statusCode hangup_code DIALCODE CODEC CODECS
	PIN_SHA256 PINSHA256 TLS_PIN_SHA256 session SESSION server node reason LEAD CAMPAIGN QUEUE AGENT SKILL LANGUAGE GREETING DIALSTATUS HANGUPCAUSE
	PARROT CREDIT creditLimit INCREDIBLE ACCREDITED CREDO SACRED Number NUMBER phoneNumber MSISDN ID UNIQUEID LINKEDID
	SIPADDHEADER01 PJSIP_HEADER(add,X-Lead) CHANNEL(language) CONNECTEDLINE(num) TIMEOUT(absolute) REDIRECTING(reason)
	BANK bankName DEBIT BIRTHPLACE IDENTITY NATIONAL TAX SORT routing Kort kontor
`)

func TestName_TableOfSecretAndPlainNames(t *testing.T) {
	for _, name := range secretNames {
		if !Name(name) {
			t.Errorf("%s is shown", name)
		}
	}
	for _, name := range plainNames {
		if Name(name) {
			t.Errorf("%s is hidden", name)
		}
	}
	for name, want := range map[string]bool{
		"": false, "card number": true, "mot de passe": true, "date of birth": true, "monthly card fee of the year": true, "a pass through": false,
		strings.Repeat("x_", 500) + "pin": true, "pin" + strings.Repeat("_x", 500): true, "contrasen\u0303a": true,
	} {
		if Name(name) != want {
			t.Errorf("%.40q: hidden %v, want %v", name, !want, want)
		}
	}
}

// Each word of the table is secret, as it is and in capitals.
func TestName_EveryWordOfTheTable(t *testing.T) {
	for _, k := range kinds {
		for word := range strings.SplitSeq(k.words, ",") {
			word = strings.Join(strings.Fields(word), " ")
			for _, name := range []string{word, strings.ToUpper(word), strings.ReplaceAll(word, " ", "_"), strings.ReplaceAll(strings.ToUpper(word), " ", "")} {
				if !Name(name) {
					t.Errorf("%s (%s) is shown", name, k.what)
				}
			}
		}
	}
}

// docs/security.md shows the table as it is.
func TestName_DocumentsItsTable(t *testing.T) {
	page, err := os.ReadFile("../../docs/security.md")
	if err != nil {
		t.Fatal(err)
	}
	blanks := regexp.MustCompile(`\s+`)
	for _, k := range kinds {
		if row := "| " + k.what + " | " + blanks.ReplaceAllString(k.words, " ") + " |"; !strings.Contains(string(page), row) {
			t.Errorf("docs/security.md has no row\n%s", row)
		}
	}
	for _, list := range []string{headerNames, harmless} {
		if text := blanks.ReplaceAllString(list, " "); !strings.Contains(string(page), text) {
			t.Errorf("docs/security.md does not say\n%s", text)
		}
	}
}

// What Asterisk puts before a name for inheritance does not change it.
func FuzzName_InheritanceChangesNothing(f *testing.F) {
	for _, name := range []string{"PIN", "", "\xff", "HASH(card,number)", "contrasen\u0303a", "2fa"} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		if len(name) < maxName-2 && Name(name) != Name("__"+name) {
			t.Errorf("%q is hidden: %v, with __ before it: %v", name, Name(name), Name("__"+name))
		}
	})
}

// What a name costs: an audit asks for each header of each request.
func BenchmarkName(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		Name("ChannelStateDesc")
	}
}
