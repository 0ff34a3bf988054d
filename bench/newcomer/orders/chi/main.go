// Orders in JSON over PostgreSQL with chi and pgx: the same as bench/newcomer/README.md asks of each.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/go-chi/chi/v5/middleware"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

type order struct {
	Item     string  `json:"item"`
	Quantity int     `json:"quantity"`
	Note     *string `json:"note"`
}

type fault struct {
	Pointer string `json:"pointer"`
	Detail  string `json:"detail"`
}

func answer(w http.ResponseWriter, status int, kind string, body any) {
	w.Header().Set("Content-Type", kind)
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(body)
}

func problem(w http.ResponseWriter, status int, faults ...fault) {
	if status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "1")
	}
	answer(w, status, "application/problem+json", map[string]any{"title": http.StatusText(status), "status": status, "errors": faults})
}

func unanswered(w http.ResponseWriter, err error) {
	slog.Warn("no answer of the database", "error", err)
	if errors.Is(err, context.DeadlineExceeded) {
		problem(w, http.StatusGatewayTimeout)
	} else {
		problem(w, http.StatusServiceUnavailable)
	}
}

func (o order) faults() (all []fault) {
	if len(o.Item) < 1 || len(o.Item) > 80 {
		all = append(all, fault{"/item", "1 to 80 bytes"})
	}
	if o.Quantity < 1 || o.Quantity > 100 {
		all = append(all, fault{"/quantity", "a whole number from 1 to 100"})
	}
	return all
}

func put(data *pgxpool.Pool) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		id, err := strconv.Atoi(chi.URLParam(r, "id"))
		if err != nil {
			problem(w, http.StatusNotFound)
			return
		}
		var asked order
		if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<20)).Decode(&asked); err != nil {
			problem(w, http.StatusBadRequest)
			return
		}
		if faults := asked.faults(); faults != nil {
			problem(w, http.StatusUnprocessableEntity, faults...)
			return
		}
		done, err := data.Exec(r.Context(), "INSERT INTO orders VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING",
			id, asked.Item, asked.Quantity, asked.Note)
		switch {
		case err != nil:
			unanswered(w, err)
		case done.RowsAffected() == 0:
			problem(w, http.StatusConflict)
		default:
			answer(w, http.StatusCreated, "application/json", asked)
		}
	}
}

func get(data *pgxpool.Pool) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		id, err := strconv.Atoi(chi.URLParam(r, "id"))
		if err != nil {
			problem(w, http.StatusNotFound)
			return
		}
		var found order
		err = data.QueryRow(r.Context(), "SELECT item, quantity, note FROM orders WHERE id = $1", id).
			Scan(&found.Item, &found.Quantity, &found.Note)
		switch {
		case errors.Is(err, pgx.ErrNoRows):
			problem(w, http.StatusNotFound)
		case err != nil:
			unanswered(w, err)
		default:
			answer(w, http.StatusOK, "application/json", found)
		}
	}
}

func setting(name, fallback string) string {
	if value, ok := os.LookupEnv(name); ok {
		return value
	}
	return fallback
}

func main() {
	slog.SetDefault(slog.New(slog.NewJSONHandler(os.Stderr, nil)))
	stop, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer cancel()
	config, err := pgxpool.ParseConfig(setting("ORDERS_DATABASE", "postgres://localhost/orders"))
	if err != nil {
		slog.Error("settings", "error", err)
		os.Exit(1)
	}
	config.MaxConns = 4
	data, err := pgxpool.NewWithConfig(stop, config)
	if err != nil {
		slog.Error("database", "error", err)
		os.Exit(1)
	}
	var ready atomic.Bool
	routes := chi.NewRouter()
	routes.Use(middleware.RequestID, middleware.Recoverer, middleware.Timeout(30*time.Second))
	routes.Put("/orders/{id}", put(data))
	routes.Get("/orders/{id}", get(data))
	routes.Get("/livez", func(w http.ResponseWriter, r *http.Request) {})
	routes.Get("/readyz", func(w http.ResponseWriter, r *http.Request) {
		if !ready.Load() || stop.Err() != nil {
			problem(w, http.StatusServiceUnavailable)
		}
	})
	server := http.Server{Handler: routes, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 120 * time.Second}
	listener, err := net.Listen("tcp", setting("ORDERS_ADDRESS", ":8080"))
	if err != nil {
		slog.Error("listen", "error", err)
		os.Exit(1)
	}
	go server.Serve(listener)
	slog.Info("listening", "address", listener.Addr().String())
	for stop.Err() == nil && !ready.Load() {
		if data.Ping(stop) == nil {
			ready.Store(true)
		} else {
			time.Sleep(100 * time.Millisecond)
		}
	}
	<-stop.Done()
	drain, over := context.WithTimeout(context.Background(), 25*time.Second)
	defer over()
	err = server.Shutdown(drain)
	data.Close()
	if err != nil {
		slog.Error("cut", "error", err)
		os.Exit(3)
	}
}
