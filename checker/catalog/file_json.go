package catalog

import (
	"strings"

	"github.com/go-json-experiment/json"

	"relcheck/checker"
)

// fileJSON is the JSON form of a [File]. Its platform is a text: "linux/amd64".
type fileJSON struct {
	fileFields
	Platform string `json:"platform,omitzero"`
}

type fileFields File // without methods

func (f File) MarshalJSON() ([]byte, error) {
	form := fileJSON{fileFields: fileFields(f)}
	if f.Platform != (checker.Platform{}) {
		form.Platform = f.Platform.String()
	}
	return json.Marshal(&form)
}

// UnmarshalJSON accepts platforms that do not exist, because [Layer.Check] reports them.
func (f *File) UnmarshalJSON(text []byte) error {
	var form fileJSON
	if err := json.Unmarshal(text, &form); err != nil {
		return err
	}
	*f = File(form.fileFields)
	f.Platform.OS, f.Platform.Arch, _ = strings.Cut(form.Platform, "/")
	return nil
}
