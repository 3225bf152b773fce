%% The closed loop of supervisor.rs under OTP: kill a child, wait until it is back, take the next.
-module(closed_loop).
-mode(compile).
-behaviour(supervisor).
-export([main/1, init/1, start_child/2]).

main(Args) ->
    logger:set_primary_config(level, none),
    [Seconds | Sizes] = [list_to_integer(Arg) || Arg <- Args],
    [run(Size, Seconds) || Size <- Sizes],
    halt(0).

run(Size, Seconds) ->
    Driver = self(),
    Pid = spawn(fun() ->
        process_flag(trap_exit, true),
        {ok, Sup} = supervisor:start_link(?MODULE, {Size, self()}),
        Pids = collect(Size, #{}),
        statistics(runtime),
        Begin = erlang:monotonic_time(microsecond),
        Count = loop(0, Size, Pids, Begin + Seconds * 1000000, 0),
        Wall = erlang:monotonic_time(microsecond) - Begin,
        {_, Cpu} = statistics(runtime),
        io:format("~w ~w ~w ~w~n", [Size, Count, Wall, Cpu * 1000]),
        exit(Sup, kill),
        Driver ! done
    end),
    Ref = monitor(process, Pid),
    receive {'DOWN', Ref, process, Pid, _} -> ok end.

collect(0, Pids) -> Pids;
collect(N, Pids) -> receive {up, Index, Pid} -> collect(N - 1, Pids#{Index => Pid}) end.

loop(Index, Size, Pids, End, Count) ->
    case erlang:monotonic_time(microsecond) >= End of
        true -> Count;
        false ->
            maps:get(Index, Pids) ! crash,
            receive {up, Index, Pid} -> loop((Index + 1) rem Size, Size, Pids#{Index => Pid}, End, Count + 1) end
    end.

init({Size, Driver}) ->
    {ok, {#{strategy => one_for_one, intensity => 1000000, period => 1},
          [#{id => Index, start => {?MODULE, start_child, [Index, Driver]}} || Index <- lists:seq(0, Size - 1)]}}.

start_child(Index, Driver) ->
    Pid = proc_lib:spawn_link(fun() -> receive crash -> exit(crashed) end end),
    Driver ! {up, Index, Pid},
    {ok, Pid}.
