package dialect

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"text/template"
	"text/template/parse"
)

type headerTemplate struct {
	name  string
	value *template.Template
}

// compiler compiles the templates of a dialect. It notes what they use of a request.
type compiler struct {
	d       *Dialect
	tree    *parse.Tree
	encoder string
	err     error // the first one
}

// compile parses a template that begins on a line of the file, and appends an encoder to
// each action that prints a value: a template cannot print a value that is not encoded.
func (c *compiler) compile(text, encoder string, line int) (*template.Template, error) {
	comment := "{{/*" + strings.Repeat("\n", line-1) + "*/ -}}" // errors have the numbers of the file's lines
	t, err := template.New("answer").Option("missingkey=error").Funcs(functions).Parse(comment + text)
	if err != nil {
		return nil, templateError(err)
	}
	c.encoder = encoder
	for _, t := range t.Templates() {
		if c.tree = t.Tree; c.tree != nil {
			c.list(c.tree.Root)
		}
	}
	return t, c.err
}

func (c *compiler) list(list *parse.ListNode) {
	if list == nil {
		return
	}
	for _, node := range list.Nodes {
		switch n := node.(type) {
		case *parse.ActionNode:
			if c.pipe(n.Pipe); len(n.Pipe.Decl) == 0 {
				c.append(n.Pipe, c.encoder)
			}
		case *parse.IfNode:
			c.branch(&n.BranchNode)
		case *parse.RangeNode:
			c.branch(&n.BranchNode)
			c.append(n.Pipe, "_range")
		case *parse.WithNode:
			c.branch(&n.BranchNode)
		case *parse.TemplateNode:
			c.pipe(n.Pipe)
		}
	}
}

// append appends a function to a pipeline.
func (c *compiler) append(pipe *parse.PipeNode, function string) {
	name := parse.NewIdentifier(function).SetTree(c.tree).SetPos(pipe.Pos)
	pipe.Cmds = append(pipe.Cmds, &parse.CommandNode{NodeType: parse.NodeCommand, Pos: pipe.Pos, Args: []parse.Node{name}})
}

func (c *compiler) branch(n *parse.BranchNode) {
	c.pipe(n.Pipe)
	c.list(n.List)
	c.list(n.ElseList)
}

func (c *compiler) pipe(pipe *parse.PipeNode) {
	if pipe == nil {
		return
	}
	for _, command := range pipe.Cmds {
		for _, arg := range command.Args {
			c.arg(arg)
		}
	}
}

func (c *compiler) arg(node parse.Node) {
	switch n := node.(type) {
	case *parse.FieldNode:
		c.names(n, n.Ident)
	case *parse.VariableNode:
		c.names(n, n.Ident[1:])
	case *parse.ChainNode:
		c.arg(n.Node)
		c.names(n, n.Field)
	case *parse.PipeNode:
		c.pipe(n)
	}
}

// names notes what a chain of fields, such as .Vars.name, uses of a request.
func (c *compiler) names(n parse.Node, chain []string) {
	for i, name := range chain {
		switch name {
		case "Caller", "Newer", "Download", "Step":
			c.d.usesCaller = true
		case "Now":
			c.d.usesNow = true
		case "Products":
			c.d.usesProducts = true
		case "Vars":
			if i+1 == len(chain) || !slices.Contains(c.d.names, chain[i+1]) {
				c.fail(n, "name a variable of the path or of a var line after .Vars: "+strings.Join(c.d.names, ", "))
			} else if used := chain[i+1]; !slices.Contains(c.d.keyVars, used) {
				c.d.keyVars = append(c.d.keyVars, used)
			}
		}
	}
}

func (c *compiler) fail(n parse.Node, message string) {
	if location, _ := c.tree.ErrorContext(n); c.err == nil {
		c.err = templateError(fmt.Errorf("template: %s: %s", location, message))
	}
}

var templatePlace = regexp.MustCompile(`^template: [^:]*:([0-9]+)(?::[0-9]+)?: (?:executing "[^"]*" )?(?:at )?`)

// encoderCall and templateCall are what text/template says of a failed function. Encoders
// are not in the file.
var (
	encoderCall  = regexp.MustCompile(`^<_[a-z]+>: error calling _[a-z]+: `)
	templateCall = regexp.MustCompile(`^<([^<>]*)>: error calling \w+: `)
)

// templateError returns an error with the line of the file that text/template names.
func templateError(err error) error {
	text := err.Error()
	if place := templatePlace.FindStringSubmatch(text); place != nil {
		text = encoderCall.ReplaceAllString(text[len(place[0]):], "")
		return &lineError{"line " + place[1] + ": " + templateCall.ReplaceAllString(text, "$1: "), err}
	}
	return &lineError{"line 1: " + text, err}
}

// lineError is an error of text/template in other words.
type lineError struct {
	text string
	err  error
}

func (e *lineError) Error() string { return e.text }
func (e *lineError) Unwrap() error { return e.err }
