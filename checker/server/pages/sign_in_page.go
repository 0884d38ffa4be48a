package pages

import "relcheck/checker/access"

// SignInData is the data of the pages to sign in.
type SignInData struct {
	Error string        // code of the error of the attempt before, or empty
	Text  string        // what a token lacks, if that is the error
	Scope access.Scope  // that the page requires, if it is not read
	HTTPS string        // URL at which signing in works, if it does not work here
	Next  string        // path to show after signing in
	Base  string        // URL of the service
	Link  string        // secret of the sign-in link to confirm
	Token *access.Token // token of that link
	Kept  []KeptValue   // values of a form that was refused without a session
}

// KeptValue is a value of a form that waits until the browser has signed in.
type KeptValue struct{ Name, Value string }

// KeptPrefix precedes the names of these values in the form for signing in.
const KeptPrefix = "form."

// Message explains the error.
func (d SignInData) Message() string {
	text := signInMessages[d.Error]
	if d.Text != "" {
		text += " " + Sentence(d.Text)
	}
	return text
}

var signInMessages = map[string]string{
	"invalid_token":      "This token is not valid or was revoked.",
	"invalid_link":       "This link is not valid: it was already used, has expired, or is incomplete. To get another one, run relcheck token link on the server's machine.",
	"insufficient_scope": "Your token does not permit this.",
	"too_many_attempts":  "Too many invalid tokens were sent from your IP address. Try again in a minute.",
	"unavailable":        "The token cannot be verified right now. Try again soon.",
	"cross_origin":       "Another site tried to sign you in here. Continue only if you want to sign in.",
	"no_cookie":          "Your browser did not send back the cookie that signing in needs. Allow cookies for this address and try again.",
}

// SignIn renders the page with the form for a token.
func SignIn(v Visitor, d SignInData) ([]byte, error) { return render("sign_in", v, "Sign in", d) }

// SendForm renders the page that asks whether to send a form that was refused without a session.
func SendForm(v Visitor, d SignInData) ([]byte, error) { return render("send", v, "Send the form", d) }

// ConfirmSignIn renders the page that asks whether to sign in by a link.
func ConfirmSignIn(v Visitor, d SignInData) ([]byte, error) {
	return render("confirm", v, "Sign in", d)
}
