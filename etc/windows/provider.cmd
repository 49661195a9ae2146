@echo off
rem Puts the shadow copy provider in or takes it out. install.cmd and uninstall.cmd call it:
rem
rem   provider.cmd /install DIR
rem   provider.cmd /remove DIR
rem
rem The DLL is DIR\HITACHI\VSS Provider\RMVSSPRV.dll. /install takes out what was there before. Exit 0
rem is success. 1 is none: then /install has left nothing of the provider, and /remove all of it; what
rem could not be undone is told.
setlocal
set "HERE=%~dp0"
set "FOLDER=%~2\HITACHI\VSS Provider"
set "DLL=%FOLDER%\RMVSSPRV.dll"
if "%~2"=="" goto usage
if /i "%~1"=="/install" goto install
if /i "%~1"=="/remove" goto remove

:usage
echo provider.cmd: expected /install DIR or /remove DIR
exit /b 1

:install
call :stop
if exist "%DLL%" call :take_out
if exist "%DLL%" goto failed
if not exist "%FOLDER%" mkdir "%FOLDER%"
icacls "%FOLDER%" /inheritance:r /grant:r "*S-1-5-32-544:(OI)(CI)F" "*S-1-5-18:(OI)(CI)F" "*S-1-5-32-545:(OI)(CI)RX" >nul
if errorlevel 1 goto unprotected
copy /y "%HERE%HORCM\Tool\RMVSSPRV.dll" "%DLL%" >nul
if errorlevel 1 goto failed
regsvr32 /s "%DLL%"
if errorlevel 1 goto unregistered
cscript //nologo "%HERE%register_app.vbs" /register
if errorlevel 1 goto unhosted
call :start
exit /b 0

:unprotected
echo provider.cmd: the access list of %FOLDER% could not be set
goto failed

:unregistered
rem What it had registered until then it has taken back itself.
echo provider.cmd: RMVSSPRV.dll could not be registered: it needs VSS on Windows Server
call :delete
goto failed

:unhosted
echo provider.cmd: no COM+ application could be made to host RMVSSPRV.dll
call :let_go
goto failed

:remove
call :stop
if exist "%DLL%" call :take_out
if exist "%DLL%" goto failed
call :start
exit /b 0

:failed
call :start
exit /b 1

rem A DLL that is loaded can be neither replaced nor deleted: by VSS, or by the application that hosts
rem it, which runs as a service.
:stop
net stop VSS >nul 2>nul
net stop RMVSSPRV >nul 2>nul
exit /b 0

:start
net start VSS >nul 2>nul
exit /b 0

rem All or nothing: where VSS does not let go of the provider, its application is made again.
:take_out
cscript //nologo "%HERE%register_app.vbs" /unregister
if errorlevel 1 goto kept
sc query RMVSSPRV >nul 2>nul
if not errorlevel 1 sc delete RMVSSPRV >nul
call :let_go
if not errorlevel 1 exit /b 0
cscript //nologo "%HERE%register_app.vbs" /register
exit /b 1

:kept
echo provider.cmd: the COM+ application "RM Shadow Copy Provider" was not removed
exit /b 1

rem Nothing is unregistered where VSS refuses, and then the DLL is needed.
:let_go
regsvr32 /s /u "%DLL%"
if errorlevel 1 goto used
call :delete
if exist "%DLL%" echo provider.cmd: %DLL% is unregistered, and in use: delete it when the host has been started again
exit /b 0

:used
echo provider.cmd: VSS does not let go of the provider: delete its shadow copies, then repeat this
exit /b 1

:delete
del /q "%DLL%" 2>nul
rmdir "%FOLDER%" 2>nul
rmdir "%FOLDER%\.." 2>nul
exit /b 0
