package dialect

const maxVars = 16

// Vars are the variables of a request, by name. The zero value is empty.
type Vars struct {
	n             int
	names, values [maxVars]string
}

// Get returns the value of a variable, or "".
func (v *Vars) Get(name string) string {
	for i := range v.n {
		if v.names[i] == name {
			return v.values[i]
		}
	}
	return ""
}

// Set sets a variable.
func (v *Vars) Set(name, value string) {
	for i := range v.n {
		if v.names[i] == name {
			v.values[i] = value
			return
		}
	}
	if v.n < maxVars {
		v.names[v.n], v.values[v.n] = name, value
		v.n++
	}
}
