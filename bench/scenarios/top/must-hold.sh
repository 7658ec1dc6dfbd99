#!/bin/bash
. "$(dirname "$0")/../rig.sh"

rig_up
hold_login
TMUX_SOCKET=$RIG_DIR/tmux
tm() { env -u TMUX LC_ALL=C.UTF-8 tmux -S "$TMUX_SOCKET" "$@"; }
trap 'tm kill-server 2>/dev/null || true' EXIT
screen() { tm capture-pane -p -t top; }
shows() { screen | grep -E -- "$1"; }
keys() { tm send-keys -t top "$@"; }

ip netns exec "$RIG-s" iperf3 --server --one-off --port 5201 >"$RIG_DIR/iperf3.log" 2>&1 &
until_true 10 listens s 5201
ip netns exec "$RIG-c1" iperf3 --client "$SERVER4" --port 5201 --time 40 --bitrate 8M >"$RIG_DIR/iperf3.client" 2>&1 &
IPERF=$!
tm -f /dev/null new-session -d -s top -x 80 -y 24 "stty -a >$RIG_DIR/before; '$ADITCTL' --socket '$RIG_DIR/h/aditd.sock' top; echo left \$?; stty -a >$RIG_DIR/after; exec cat"
hold "80x24: the headend and its session are shown" within 10 shows '^s1 +alice@rig +UP +nat-t'
hold "with its rate" within 10 shows 'alice@rig .* [5-9]\.[0-9] Mbit/s '
hold "and each number has its unit to the end" within 5 shows 'Mbit/s +[0-9.]+ k?bit/s +[0-9.]+ [KM]iB +[0-9]+s *$'
hold "what keys do stands below" shows '^q leave .*s sort .*/ filter'
keys s
hold "s sorts otherwise" within 5 shows 'by bytes'
keys / b o b
hold "a filter that nobody fits" within 5 shows 'nobody fits the filter'
keys Escape
hold "is taken back" within 5 shows 'alice@rig'
keys Enter
hold "Enter shows the flows" within 10 shows 'tcp +10\.30\.[0-9.]+:[0-9]+ +10\.20\.0\.2:5201 +[5-9]\.[0-9] Mbit/s'
screen >"$RIG_DIR/flows-80x24"
keys Escape
hold "Escape leads back" within 5 shows 'alice@rig +UP'
screen >"$RIG_DIR/sessions-80x24"
tm resize-window -t top -x 200 -y 60
hold "200x60: there is room for addresses" within 10 shows 'alice@rig +UP +nat-t +10\.30\.[0-9.]+ +[0-9.]+:[0-9]+ +road-warriors'
screen >"$RIG_DIR/sessions-200x60"
kill "$IPERF"
wait "$IPERF" || true
hold "without a terminal it says what to use instead" says <(ctl top 2>&1 || true) 'top needs a terminal'
hold "the daemon ends" headend_stop
hold "that is said, and what was last seen stays" within 10 eval 'shows "no newer picture" && shows "alice@rig"'
keys q
hold "q leaves" within 5 shows '^left 0'
hold "the terminal has its cursor again, and its first screen" answers "1 0" tm display-message -p -t top '#{cursor_flag} #{alternate_on}'
without_size() { sed 's/rows [0-9]*; columns [0-9]*;//' "$RIG_DIR/$1"; }
as_before() { is "$(without_size before)" "$(without_size after)"; }
hold "and all that it does with lines and keys" within 5 as_before
