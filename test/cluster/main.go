// Command cluster builds and runs a real two-node Kubernetes cluster on this machine. It needs the Go module proxy and a few Debian
// packages, and neither Docker nor images of a registry. See README.md.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/gracefulapp/gracefulapp/test/cluster/internal/binaries"
	"github.com/gracefulapp/gracefulapp/test/cluster/internal/cluster"
	"github.com/gracefulapp/gracefulapp/test/cluster/internal/instance"
	"github.com/gracefulapp/gracefulapp/test/cluster/internal/machine"
	"github.com/gracefulapp/gracefulapp/test/cluster/internal/node"
)

func main() {
	machine.UseSystemPath()
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	if err := newCommand().ExecuteContext(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "cluster:", err)
		os.Exit(1)
	}
}

func newCommand() *cobra.Command {
	var name string
	root := &cobra.Command{
		Use:           "cluster",
		Short:         "Build and run a real two-node Kubernetes cluster on this machine",
		SilenceUsage:  true,
		SilenceErrors: true,
		PersistentPreRunE: func(*cobra.Command, []string) error {
			return instance.CheckName(name)
		},
	}
	root.PersistentFlags().StringVar(&name, "name", nameFromEnvironment(), "name of the cluster (environment: CLUSTER)")
	root.AddCommand(
		&cobra.Command{
			Use: "build", Short: "Build the binaries, unless they are in the user's cache", Args: cobra.NoArgs,
			RunE: func(c *cobra.Command, _ []string) error {
				_, err := binaries.Ensure(c.Context(), binaries.Current)
				return err
			},
		},
		binDirCommand(),
		&cobra.Command{
			Use: "up", Short: "Create the cluster, or start its stopped nodes", Args: cobra.NoArgs,
			RunE: func(c *cobra.Command, _ []string) error { return cluster.Up(c.Context(), name) },
		},
		&cobra.Command{
			Use: "down", Short: "Remove the cluster: processes, mounts, namespaces, cgroups, links and state", Args: cobra.NoArgs,
			RunE: func(c *cobra.Command, _ []string) error { return cluster.Down(c.Context(), name) },
		},
		&cobra.Command{
			Use: "env", Short: `Print shell commands that set KUBECONFIG and more, for eval "$(cluster env)"`, Args: cobra.NoArgs,
			RunE: func(*cobra.Command, []string) error { return cluster.Env(os.Stdout, name) },
		},
		imagesCommand(&name, "load TAR...", "Import images from docker or OCI archives into both nodes, which then pull nothing", cluster.Load),
		imagesCommand(&name, "push TAR...", "Copy images from OCI archives to the cluster's registry, from which both nodes pull; it is empty after a restart", cluster.Push),
		&cobra.Command{
			Use: "status", Short: "Show the state of all components; fail unless all are ready", Args: cobra.NoArgs,
			RunE: func(*cobra.Command, []string) error { return cluster.PrintStatus(os.Stdout, name) },
		},
		superviseCommand(&name),
	)
	return root
}

// imagesCommand returns a command that copies images of archives to a cluster and prints their names.
func imagesCommand(cluster *string, use, short string, do func(ctx context.Context, cluster string, archives []string) ([]string, error)) *cobra.Command {
	return &cobra.Command{
		Use: use, Short: short, Args: cobra.MinimumNArgs(1),
		RunE: func(c *cobra.Command, archives []string) error {
			names, err := do(c.Context(), *cluster, archives)
			for _, n := range names {
				fmt.Println(n)
			}
			return err
		},
	}
}

func binDirCommand() *cobra.Command {
	var kubernetes string
	c := &cobra.Command{
		Use: "bin-dir", Short: "Print the folder of the binaries (etcd, kube-apiserver, kubectl, ...); build them if necessary", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			dir, err := binaries.Ensure(c.Context(), kubernetes)
			if err == nil {
				fmt.Println(dir)
			}
			return err
		},
	}
	c.Flags().StringVar(&kubernetes, "kubernetes", binaries.Current, "minor version of Kubernetes: 1.37, or 1.34, of which there are only the programs that the tests of the API server need")
	return c
}

// superviseCommand returns the hidden command that `up` starts in a node's namespaces.
func superviseCommand(name *string) *cobra.Command {
	var n int
	c := &cobra.Command{
		Use: "supervise", Hidden: true, Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			i, err := instance.Open(*name)
			if err != nil {
				return err
			}
			return node.Supervise(i, n)
		},
	}
	c.Flags().IntVar(&n, "node", 0, "number of the node")
	return c
}

func nameFromEnvironment() string {
	if name := os.Getenv("CLUSTER"); name != "" {
		return name
	}
	return "dev"
}
