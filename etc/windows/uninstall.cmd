@echo off
rem Takes RAID Manager for Windows out again. Run it as an administrator:
rem
rem   uninstall.cmd [DIR]
rem
rem DIR is the one of install.cmd. Instances that are services are ended and are services no more.
rem Configurations, keys and logs stay; remove C:\HORCM by hand if they are not wanted any more. Exit 0
rem is success, 1 that something is left, which is told.
setlocal
set "ROOT=%SystemDrive%\HORCM"
set "SERVICES=HKLM\SYSTEM\CurrentControlSet\Services"
set "DIR=%ProgramFiles%"
if not "%~1"=="" set "DIR=%~1"

rmdir "%windir%\HORCM.draft" 2>nul
mkdir "%windir%\HORCM.draft" 2>nul
if errorlevel 1 goto refused
rmdir "%windir%\HORCM.draft"
reg query "HKLM\SOFTWARE\RAID Manager" /v Root >nul 2>nul
if errorlevel 1 goto foreign

call "%~dp0provider.cmd" /remove "%DIR%"
if errorlevel 1 goto provider
for /f "tokens=*" %%k in ('reg query %SERVICES%') do call :service "%%~nxk"
del /q "%ROOT%\etc\drmexgbackup.exe" 2>nul
if exist "%ROOT%\etc\drmexgbackup.exe" goto failed
if not exist "%ROOT%\etc\horcm.exe" goto done
pushd "%ROOT%\etc"
for /f %%n in ('.\horcm.exe --list') do del /q "%ROOT%\etc\%%n.exe" 2>nul
popd
del /q "%ROOT%\etc\horcmd.exe"
if exist "%ROOT%\etc\horcmd.exe" goto failed
del /q "%ROOT%\etc\horcm.exe"
if exist "%ROOT%\etc\horcm.exe" goto failed

:done
echo RAID Manager is uninstalled. What is in %ROOT% otherwise, and the configurations in %windir%, stay.
exit /b 0

:refused
echo uninstall.cmd: run it as an administrator
exit /b 1

:foreign
echo uninstall.cmd: install.cmd has installed nothing here
exit /b 1

:provider
echo uninstall.cmd: the provider is not removed, and so nothing is
exit /b 1

:failed
echo uninstall.cmd: a file is in use: end every instance with horcmshutdown and run it again
exit /b 1

rem An instance as a service is HORCM with its number.
:service
set "SERVICE=%~1"
if /i not "%SERVICE:~0,5%"=="HORCM" exit /b 0
for /f "delims=0123456789" %%x in ("%SERVICE:~5%") do exit /b 0
reg query "%SERVICES%\%SERVICE%" /v ImagePath 2>nul | find "horcmd.exe" >nul
if errorlevel 1 exit /b 0
net stop "%SERVICE%" >nul 2>nul
sc delete "%SERVICE%" >nul
if errorlevel 1 echo uninstall.cmd: the service %SERVICE% was not removed: remove it with sc delete %SERVICE%
exit /b 0
