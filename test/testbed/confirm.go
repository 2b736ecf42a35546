package testbed

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"
	"k8s.io/client-go/tools/clientcmd"
)

// Confirm asks the user before a program changes the cluster of KUBECONFIG, which may be in use. It prints the context and the description of the
// changes. With yes it does not ask.
func Confirm(changes string, yes bool) error {
	where, err := describeContext()
	if err != nil {
		return err
	}
	fmt.Printf("%s\n%s\n", where, changes)
	if yes {
		return nil
	}
	if !term.IsTerminal(int(os.Stdin.Fd())) {
		return errors.New("this is not the embedded cluster, and there is no terminal to ask for confirmation; pass --yes to confirm")
	}
	return ask(os.Stdin, os.Stdout)
}

func ask(in io.Reader, out io.Writer) error {
	fmt.Fprint(out, "Continue? [y/N] ")
	answer, err := bufio.NewReader(in).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("reading the answer: %w", err)
	}
	switch strings.ToLower(strings.TrimSpace(answer)) {
	case "y", "yes":
		return nil
	}
	return errors.New("not confirmed; nothing was changed")
}

func describeContext() (string, error) {
	raw, err := clientcmd.NewDefaultClientConfigLoadingRules().Load()
	if err != nil {
		return "", fmt.Errorf("reading KUBECONFIG: %w", err)
	}
	current, ok := raw.Contexts[raw.CurrentContext]
	if !ok {
		return "", fmt.Errorf("KUBECONFIG has no current context (current-context: %q)", raw.CurrentContext)
	}
	cluster, ok := raw.Clusters[current.Cluster]
	if !ok {
		return "", fmt.Errorf("context %q names the cluster %q, which KUBECONFIG does not describe", raw.CurrentContext, current.Cluster)
	}
	return fmt.Sprintf("context  %s\ncluster  %s\nserver   %s\nuser     %s\n",
		raw.CurrentContext, current.Cluster, cluster.Server, current.AuthInfo), nil
}
