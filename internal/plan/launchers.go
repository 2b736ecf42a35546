package plan

import (
	"path"
	"slices"
	"strings"
)

// packageManagers start the server as a child process of a shell. Not every version forwards SIGTERM to it.
var packageManagers = []string{"npm", "npx", "yarn", "pnpm"}

// inits forward SIGTERM to the command that they start, and to no other process.
var inits = []string{"tini", "docker-init", "catatonit", "dumb-init"}

// launched returns the command that gets the container's SIGTERM: the command that env executes, or the one to which a small init forwards the
// signal. It is empty where all processes get the signal.
func launched(command []string) []string {
	for len(command) > 0 {
		switch name := path.Base(command[0]); {
		case name == "env":
			command = skip(command[1:], func(word string) bool { return strings.HasPrefix(word, "-") || strings.Contains(word, "=") })
		case slices.Contains(inits, name) && signalsGroup(name, command[1:]):
			return nil
		case slices.Contains(inits, name):
			command = skip(command[1:], func(word string) bool { return strings.HasPrefix(word, "-") })
		default:
			return command
		}
	}
	return nil
}

// signalsGroup reports whether an init signals every process of its child's group: tini does if -g asks for it, dumb-init unless -c forbids it.
func signalsGroup(name string, words []string) bool {
	has := func(short byte, long string) bool {
		for _, word := range words {
			switch {
			case word == "--" || !strings.HasPrefix(word, "-"):
				return false
			case word == long || !strings.HasPrefix(word, "--") && strings.IndexByte(word, short) > 0:
				return true
			}
		}
		return false
	}
	if name == "dumb-init" {
		return !has('c', "--single-child")
	}
	return has('g', "--group")
}

func skip(words []string, matches func(string) bool) []string {
	i := slices.IndexFunc(words, func(word string) bool { return !matches(word) })
	if i < 0 {
		return nil
	}
	return words[i:]
}

// warnPackageManager checks the first process and the one that replaces it by exec.
func warnPackageManager(_ *input, s server) []string {
	command := launched(slices.Concat(s.written.Command, s.written.Args))
	if script, ok := shellScript(command); ok {
		command = launched(execsLast(script))
	}
	if len(command) == 0 || !slices.Contains(packageManagers, path.Base(command[0])) {
		return nil
	}
	return warning("container %q starts its server by %s, which may not forward SIGTERM to it, so in-flight requests are lost; write the server's own "+
		"command, such as node server.js", s.written.Name, path.Base(command[0]))
}
